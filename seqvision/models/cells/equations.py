"""What each recurrent cell computes in a step, written once for every array library.

Each function takes `ops`, the operations of a library (see `Operations`), and `p`, the parameters
of a cell by their names. Arrays are (B, H) and (B, G*H), the gates side by side. `mask` (B, H)
multiplies what the step would write: recurrent dropout. The formulas are in the classes of `gated`
and `minimal`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Operations(Protocol):
    """What the equations need beside `+`, `-`, `*`, `**` and `<` of arrays."""

    sigmoid: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    softplus: Callable[[Any], Any]
    rsqrt: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]

    def matmul(self, inputs: Any, kernel: Any) -> Any:
        """inputs (..., D) @ kernel (D, W)."""

    def split(self, array: Any, num_parts: int) -> list[Any]:
        """Equal parts of the last axis."""

    def mean(self, array: Any) -> Any:
        """Over the last axis, which stays with length 1."""

    def like(self, vector: Any, array: Any) -> Any:
        """vector (W,) in the shape of array (..., W), for libraries that broadcast no ranks."""


Parameters = Mapping[str, Any]


def project(ops: Operations, p: Parameters, inputs: Any) -> Any:
    """What inputs (..., D) add to the gates, (..., G*H)."""
    projected = ops.matmul(inputs, p["input_kernel"])
    return projected + ops.like(p["bias"], projected)


def project_normalized(ops: Operations, p: Parameters, inputs: Any) -> Any:
    """`project` of the layer-normalised LSTM."""
    projected = normalized(ops, ops.matmul(inputs, p["input_kernel"]), p["input_scale"])
    return projected + ops.like(p["bias"], projected)


def lstm(
    ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any = None
) -> Any:
    """LSTM; its memory is (c, h)."""
    c, h = memory
    gates = projected + ops.matmul(h, p["recurrent_kernel"])
    i, f, g, o = ops.split(gates, 4)
    keep, write = ops.sigmoid(f), ops.sigmoid(i)
    if refine:
        keep = refined(keep, write)
        write = 1 - keep
    c = keep * c + write * masked(ops.tanh(g), mask)
    return c, ops.sigmoid(o) * ops.tanh(c)


def layer_norm_lstm(
    ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any = None
) -> Any:
    """Layer-normalised LSTM; its memory is (c, h)."""
    c, h = memory
    recurrent = normalized(ops, ops.matmul(h, p["recurrent_kernel"]), p["recurrent_scale"])
    i, f, g, o = ops.split(projected + recurrent, 4)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * masked(ops.tanh(g), mask)
    offset = ops.like(p["memory_offset"], c)
    return c, ops.sigmoid(o) * ops.tanh(normalized(ops, c, p["memory_scale"]) + offset)


def gru(
    ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any = None
) -> Any:
    """GRU; its memory is h."""
    h, num_gates = memory, 4 if refine else 3
    from_input = ops.split(projected, num_gates)
    from_hidden = ops.split(ops.matmul(h, p["recurrent_kernel"]), num_gates)
    r, z = (ops.sigmoid(from_input[gate] + from_hidden[gate]) for gate in (0, 1))
    if refine:
        z = refined(z, ops.sigmoid(from_input[3] + from_hidden[3]))
    hidden_candidate = from_hidden[2] + ops.like(p["candidate_bias"], h)
    n = ops.tanh(from_input[2] + r * hidden_candidate)
    return (1 - z) * masked(n, mask) + z * h


def janet(
    ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any = None
) -> Any:
    """JANET; its memory is h."""
    f, g = ops.split(projected + ops.matmul(memory, p["recurrent_kernel"]), 2)
    return ops.sigmoid(f) * memory + ops.sigmoid(1 - f) * masked(ops.tanh(g), mask)


def min_lstm_parts(ops: Operations, projected: Any) -> tuple[Any, Any, Any]:
    """What minLSTM keeps, what it writes, and the candidate, each (..., H)."""
    i, f, g = ops.split(projected, 3)
    # log(sigmoid(f) / sigmoid(i)): both sigmoids may underflow to 0, and 0/0 is NaN.
    log_ratio = ops.softplus(-i) - ops.softplus(-f)
    return ops.sigmoid(log_ratio), ops.sigmoid(-log_ratio), g


def min_gru_parts(ops: Operations, projected: Any) -> tuple[Any, Any, Any]:
    """What minGRU keeps, what it writes, and the candidate, each (..., H)."""
    z, g = ops.split(projected, 2)
    return ops.sigmoid(-z), ops.sigmoid(z), g


def minimal(name: str) -> Callable[..., Any]:
    """The step of a minimal cell; its memory is h."""

    def step(
        ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any = None
    ) -> Any:
        keep, write, candidate = PARTS[name](ops, projected)
        return keep * memory + write * masked(candidate, mask)

    return step


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


STEPS: dict[str, Callable[..., Any]] = {
    "lstm": lstm,
    "gru": gru,
    "layer_norm_lstm": layer_norm_lstm,
    "janet": janet,
    "min_lstm": minimal("min_lstm"),
    "min_gru": minimal("min_gru"),
}
"""`step(ops, p, memory, projected, refine, mask=None) -> memory` of each cell."""
PROJECTIONS: dict[str, Callable[..., Any]] = {
    name: project_normalized if name == "layer_norm_lstm" else project for name in STEPS
}
"""`project(ops, p, inputs) -> projected` of each cell."""
PARTS: dict[str, Callable[..., tuple[Any, Any, Any]]] = {
    "min_lstm": min_lstm_parts,
    "min_gru": min_gru_parts,
}
"""What the minimal cells keep, write, and the candidate: `parts(ops, projected)`."""
PAIRS = ("lstm", "layer_norm_lstm")
"""Cells whose memory is (c, h); of the others it is h. h is the output of a step."""
