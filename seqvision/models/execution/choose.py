"""The choice of how the steps of a recurrent layer are run."""

import functools
import sys

import jax

from seqvision.models.execution import native_lstm, nvidia
from seqvision.models.execution.measured_times import faster_on_cpu
from seqvision.models.execution.nvidia import allows_tf32, compute_capability, matmul_precision
from seqvision.runtime.cpu_devices import has_vectors
from seqvision.runtime.native_library import compiler

EXECUTIONS = ("auto", "scan", "fused", "native", "cudnn", "persistent")
"""`scan` runs any cell in `nn.scan`, differentiated by JAX: the reference. `fused` is the LSTM and
the GRU with their gradients written out by hand, see `fused_loop`. `native` is the LSTM in compiled
C++ on CPUs, see `native_lstm`. `cudnn` is the LSTM in one call of NVIDIA's library, see
`cudnn_lstm`. `persistent` is the LSTM in one kernel on NVIDIA GPUs that keeps the weights on the
chip, see `persistent_lstm`. `auto` is the one that was measured to be fastest, of those that are
here: on the CPU see `measured_times`; for the LSTM on a GPU of `MEASURED_ON` it is `persistent`,
and `fused` where that cannot be; where nothing was measured, it is `scan`."""

NATIVE_VECTORS = "avx512f"
"""With these vectors `native` was the fastest; with narrower ones `fused` is faster."""

MEASURED_ON = "9.0"
"""The compute capability of the GPU on which paths were compared, an H200; that of an H100 too."""

MAX_PERSISTENT_SIZE = 128
"""Four products of 128 x 128 in 16 bits are 128 KiB; a multiprocessor of an H100 has 227 KiB."""

CELLS_OF = {
    "fused": ("lstm", "gru"),
    "native": ("lstm",),
    "cudnn": ("lstm",),
    "persistent": ("lstm",),
}


def choose_execution(
    execution: str, cell: str, hidden_size: int, dtype: str, needs_scan: bool = False
) -> str:
    """The way that `execution` stands for: one of the others.

    Args:
      execution: a name in `EXECUTIONS`.
      cell: a name in `cells.CELLS`.
      hidden_size: H.
      dtype: of the products, `float32` or `bfloat16`.
      needs_scan: see `cells.base.CellOptions.needs_scan`.

    Raises:
      ValueError: there is no such way, or not for this cell or type.
    """
    if execution not in EXECUTIONS:
        raise ValueError(
            f"execution '{execution}' is not known; choose one of {', '.join(EXECUTIONS)}"
        )
    if execution in CELLS_OF and (cell not in CELLS_OF[execution] or needs_scan):
        raise ValueError(
            f"execution '{execution}' is for {' and '.join(CELLS_OF[execution])} without refine"
            " gates; choose scan or auto"
        )
    if execution == "cudnn" and dtype != "float32":
        raise ValueError(
            f"execution 'cudnn' multiplies in float32 or TF32, not {dtype}; choose scan or auto"
        )
    if execution == "native" and (reason := why_not_native(dtype)):
        raise ValueError(f"execution 'native' {reason}; choose auto")
    if execution == "persistent" and (reason := _why_not_persistent(hidden_size, dtype)):
        raise ValueError(reason)
    if execution != "auto":
        return execution
    if cell not in CELLS_OF["fused"] or needs_scan:
        return "scan"
    if jax.default_backend() == "cpu":
        has_native = cell in CELLS_OF["native"] and _may_be_native(dtype)
        return faster_on_cpu(cell, hidden_size, dtype, has_native=has_native)
    if cell not in CELLS_OF["persistent"] or compute_capability() != MEASURED_ON:
        return "scan"
    return "fused" if _why_not_persistent(hidden_size, dtype) else "persistent"


def why_not_here(execution: str, dtype: str) -> str:
    """The reason that this machine cannot run a path; empty where it can."""
    if execution in ("cudnn", "persistent") and not nvidia.available():
        return "needs an NVIDIA GPU, and JAX sees none"
    return why_not_native(dtype) if execution == "native" else ""


def why_not_native(dtype: str) -> str:
    """The reason that an LSTM cannot be run by `native` here; empty where it can."""
    if jax.default_backend() != "cpu":
        return f"runs on CPUs, and JAX computes on the {jax.default_backend()}"
    reason = native_lstm.why_not(dtype)
    return f"cannot be made here: {reason}" if reason else ""


def _may_be_native(dtype: str) -> bool:
    """Whether `auto` may take `native`; a line on stderr if a compiler is here, but failed."""
    # Several processes run one program, and their machines may differ.
    if not has_vectors(NATIVE_VECTORS) or jax.process_count() > 1:
        return False
    if (reason := native_lstm.why_not()) and compiler():
        _say_once(f"the LSTM is not compiled here, and slower without: {reason}")
    return not native_lstm.why_not(dtype)


@functools.cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _why_not_persistent(hidden_size: int, dtype: str) -> str:
    """Empty where nothing speaks against it."""
    if hidden_size > MAX_PERSISTENT_SIZE:
        return (
            f"execution 'persistent' keeps the weights of at most {MAX_PERSISTENT_SIZE} units on"
            f" the chip, not of {hidden_size}; choose scan or auto"
        )
    if dtype == "float32" and not allows_tf32():
        return (
            "execution 'persistent' multiplies float32 with the precision of TF32, and"
            f" jax_default_matmul_precision is '{matmul_precision()}'; choose scan or auto"
        )
    return ""
