"""Which way the steps of a recurrent layer are run. All ways have the same parameters."""

import jax

EXECUTIONS = ("auto", "scan", "fused")
"""`scan` runs any cell in `nn.scan`, differentiated by JAX. `fused` is the LSTM and the GRU with
their gradients written out by hand, see `fused_lstm`. `auto` is the faster one."""

FUSED_CELLS = ("lstm", "gru")


def choose_execution(execution: str, cell: str, refine_gates: bool = False) -> str:
    """The way that `execution` stands for, `scan` or `fused`.

    Args:
      execution: a name in `EXECUTIONS`.
      cell: a name in `recurrent.CELLS`.
      refine_gates: whether it has them.

    Raises:
      ValueError: there is no such way, or the cell has no fused one.
    """
    can_fuse = cell in FUSED_CELLS and not refine_gates
    if execution not in EXECUTIONS:
        raise ValueError(
            f"execution '{execution}' is not known; choose one of {', '.join(EXECUTIONS)}"
        )
    if execution == "fused" and not can_fuse:
        raise ValueError(
            f"execution 'fused' is for {' and '.join(FUSED_CELLS)} without refine gates; choose"
            " scan or auto"
        )
    if execution != "auto":
        return execution
    return "fused" if can_fuse and jax.default_backend() == "cpu" else "scan"
