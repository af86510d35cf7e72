"""Which way the steps of a recurrent layer are run. All ways have the same parameters."""

import jax

EXECUTIONS = ("auto", "scan", "fused", "cudnn")
"""`scan` runs any cell in `nn.scan`, differentiated by JAX: the reference. `fused` is the LSTM and
the GRU with their gradients written out by hand, see `fused_lstm`. `cudnn` is the LSTM in one call
of NVIDIA's library, see `cudnn_lstm`. `auto` is the one that measured fastest."""

CELLS_OF = {"fused": ("lstm", "gru"), "cudnn": ("lstm",)}


def choose_execution(execution: str, cell: str, refine_gates: bool = False) -> str:
    """The way that `execution` stands for: `scan`, `fused` or `cudnn`.

    Args:
      execution: a name in `EXECUTIONS`.
      cell: a name in `recurrent.CELLS`.
      refine_gates: whether it has them.

    Raises:
      ValueError: there is no such way, or not for this cell.
    """
    if execution not in EXECUTIONS:
        raise ValueError(
            f"execution '{execution}' is not known; choose one of {', '.join(EXECUTIONS)}"
        )
    if execution in CELLS_OF and (cell not in CELLS_OF[execution] or refine_gates):
        raise ValueError(
            f"execution '{execution}' is for {' and '.join(CELLS_OF[execution])} without refine"
            " gates; choose scan or auto"
        )
    if execution != "auto":
        return execution
    can_fuse = cell in CELLS_OF["fused"] and not refine_gates
    return "fused" if can_fuse and jax.default_backend() == "cpu" else "scan"
