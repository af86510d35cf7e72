"""The product of two matrices in numpy, on the thread that asks for it."""

import numpy as np

_MOST = 1 << 18
"""Multiplications of one call. From somewhat more on, OpenBLAS wakes threads of its own: beside
those of JAX they wait for a core, and a push of a millisecond takes tens of them."""
_ROWS = 4
"""So many rows read the kernel once; more of them, fewer of its rows at a time: as fast."""


def product(inputs: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`inputs @ kernel`, in pieces so small that each is computed by one thread.

    Args:
      inputs: float32 (..., K).
      kernel: float32 (K, N).

    Returns:
      (..., N).
    """
    size, width = kernel.shape
    if inputs.size * width <= _MOST:
        return inputs @ kernel
    inner = inputs.reshape(-1, size)
    rows = min(len(inner), max(_ROWS, _MOST // kernel.size))
    outputs = np.empty((len(inner), width), np.float32)
    whole = len(inner) - len(inner) % rows
    # numpy multiplies the pieces of a stack one after another.
    _multiply(
        inner[:whole].reshape(-1, rows, size), kernel, outputs[:whole].reshape(-1, rows, width)
    )
    if whole < len(inner):
        _multiply(inner[whole:], kernel, outputs[whole:])
    return outputs.reshape(*inputs.shape[:-1], width)


def _multiply(inputs: np.ndarray, kernel: np.ndarray, outputs: np.ndarray) -> None:
    size, width = kernel.shape
    part = max(1, min(size, _MOST // (inputs.shape[-2] * width)))
    np.matmul(inputs[..., :part], kernel[:part], out=outputs)
    for at in range(part, size, part):
        outputs += inputs[..., at : at + part] @ kernel[at : at + part]
