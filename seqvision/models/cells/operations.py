"""The operations that cells and running readouts are written in, for every array library.

A cell's `next_memory` and a readout's step take `ops` and are thus the same in JAX, in numpy (live
reading) and as nodes of an ONNX graph. Parameters `p` are arrays by their names.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Operations(Protocol):
    """Of arrays, beside their own `+`, `-`, `*`, `**` and `<`."""

    def sigmoid(self, array: Any, /) -> Any: ...

    def tanh(self, array: Any, /) -> Any: ...

    def softplus(self, array: Any, /) -> Any: ...

    def rsqrt(self, array: Any, /) -> Any: ...

    def where(self, condition: Any, first: Any, second: Any, /) -> Any: ...

    def matmul(self, inputs: Any, kernel: Any, /) -> Any:
        """inputs (..., D) @ kernel (D, W)."""

    def split(self, array: Any, num_parts: int, /) -> list[Any]:
        """Equal parts of the last axis."""

    def mean(self, array: Any, /) -> Any:
        """Over the last axis, which stays with length 1."""

    def like(self, vector: Any, array: Any, /) -> Any:
        """vector (W,) in the shape of array (..., W), for libraries that broadcast no ranks."""


Parameters = Mapping[str, Any]


def refined(gate: Any, refine: Any) -> Any:
    """Between the gate's square and its mirror image: Gu et al., 2020, arXiv 1910.09890."""
    return refine * (1 - (1 - gate) ** 2) + (1 - refine) * gate**2


def masked(candidate: Any, mask: Any) -> Any:
    return candidate if mask is None else candidate * mask


def normalized(ops: Operations, array: Any, scale: Any) -> Any:
    """Layer normalisation over the last axis (Ba et al., 2016, eq. 3-4), times scale.

    The variance grows by 1e-5. Where it is smaller than that, as of an empty memory, the result is
    0 and no gradient goes through, which would grow 300 times larger with each blank row.
    """
    centred = array - ops.mean(array)
    variance = ops.mean(centred**2)
    unit = centred * ops.rsqrt(variance + 1e-5)
    return ops.where(variance < 1e-5, 0.0, unit) * ops.like(scale, array)
