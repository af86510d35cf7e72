"""Layers in the variables of TensorFlow 1: tf.layers, and the cells of tf.nn.rnn_cell.

LSTMs hold one kernel (inputs + hidden, 4 x hidden), inputs first, with the gates i, j, f, o. What
they call the forget bias is added when they run and is not in the checkpoint. GRUs hold a kernel of
the gates r, u and one of the candidate.
"""

import re
from collections.abc import Iterable

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.layers import (
    Arrays,
    Layers,
    Part,
    Parts,
    Recurrent,
    check_is_one,
    gates_in_order,
    no_bias,
    not_found,
    one,
    several,
)

SLOTS = ("Adam", "Adam_1")
"""Of Adam: the mean of the gradients and of their squares."""

_PASSED_OVER = re.compile(r"(.*/)?(global_step|beta[12]_power(_\d+)?)$")
_CELL = re.compile(
    r"(?P<stack>.*?)(?:cell_(?P<layer>\d+)/)?(?:bidirectional_rnn/)?(?:(?P<direction>fw|bw)/)?"
    r"(?:multi_rnn_cell/cell_(?P<number>\d+)/)?"
    r"(?P<cell>basic_lstm_cell|lstm_cell|lstm_fused_cell|cudnn_compatible_gru_cell|gru_cell)/"
    r"(?P<array>.+)$"
)
_LSTM_CELLS = ("basic_lstm_cell", "lstm_cell", "lstm_fused_cell")


def variables(arrays: Arrays) -> list[str]:
    """The names of the weights: all but counters and the slots of optimizers."""
    return [name for name in arrays if not _PASSED_OVER.match(name) and not is_slot(arrays, name)]


def is_slot(arrays: Arrays, name: str) -> bool:
    """Whether an optimizer, or an average over steps, keeps it for a variable: VARIABLE/SLOT."""
    return name.rpartition("/")[0] in arrays


def read(arrays: Arrays, forget_bias: float = 1.0) -> Layers:
    """The layers of a checkpoint.

    Args:
      arrays: its variables; of slots, each under the name of its variable.
      forget_bias: what the program added to the forget gate; 0 for slots.

    Raises:
      UserError: an array has no place, or a layer is one that we do not have.
    """
    names = variables(arrays)
    convolutions = [_with_bias(arrays, layer) for layer in _layers_of("conv2d", names)]
    dense = _layers_of("dense", names)
    check_is_one("the checkpoint", dense, names)
    recurrent = _recurrent(arrays, names, forget_bias)
    return Layers(tuple(convolutions), recurrent, _with_bias(arrays, dense[0]))


def slots(arrays: Arrays, slot: str) -> dict[str, np.ndarray]:
    """The arrays of a slot, one of `SLOTS`, each under the name of its variable."""
    names = [name for name in variables(arrays) if f"{name}/{slot}" in arrays]
    return {name: arrays[f"{name}/{slot}"] for name in names}


def _with_bias(arrays: Arrays, layer: str) -> Parts:
    names = {part: f"{layer}/{part}" for part in ("kernel", "bias")}
    if names["bias"] not in arrays:
        kernel = arrays[names["kernel"]]
        return {
            "kernel": one(names["kernel"], kernel),
            "bias": no_bias(names["kernel"], kernel.shape[-1], kernel),
        }
    return {part: one(name, arrays[name]) for part, name in names.items()}


def _layers_of(kind: str, names: Iterable[str]) -> list[str]:
    """`conv2d`, `conv2d_1`, ... in the order in which the program made them."""
    pattern = re.compile(rf"((?:.*/)?{kind}(?:_(\d+))?)/kernel$")
    found = [match for match in map(pattern.match, names) if match]
    return [match[1] for match in sorted(found, key=lambda match: int(match[2] or 0))]


def _recurrent(arrays: Arrays, names: list[str], forget_bias: float) -> tuple[Recurrent, ...]:
    cells: dict[tuple[int, str], dict[str, str]] = {}
    kinds = set()
    for name in names:
        match = _CELL.match(name)
        if match is None:
            continue
        if match["direction"] and match["number"]:
            raise UserError(
                f"{name}: layers of a direction of its own, on top of each other; ours read both"
                " directions of the layer below (as stack_bidirectional_dynamic_rnn does)"
            )
        at = int(match["layer"] or match["number"] or 0), match["direction"] or "fw"
        cells.setdefault(at, {})[match["array"]] = name
        kinds.add(match["cell"])
    if not cells:
        raise not_found("the checkpoint", "LSTM or GRU cell", names, "recurrent/layer_0/cell")
    is_lstm = kinds <= set(_LSTM_CELLS)
    if not is_lstm and kinds & set(_LSTM_CELLS):
        raise UserError(f"the checkpoint has cells of several kinds: {', '.join(sorted(kinds))}")
    layers = []
    for number in sorted({layer for layer, _ in cells}):
        held = [cells[at] for at in ((number, "fw"), (number, "bw")) if at in cells]
        read = [_lstm(arrays, h, forget_bias) if is_lstm else _gru(arrays, h) for h in held]
        layers.append(Recurrent(read[0][0], tuple(parts for _, parts in read)))
    return tuple(layers)


def _lstm(arrays: Arrays, held: dict[str, str], forget_bias: float) -> tuple[str, Parts]:
    others = sorted(held.keys() - {"kernel", "bias"})
    if others:
        raise UserError(f"{held[others[0]]}: peepholes and projections are not in our LSTM")
    missing = [key for key in ("kernel", "bias") if key not in held]
    if missing:
        raise UserError(f"{next(iter(held.values()))}: of this LSTM the {missing[0]} is missing")
    kernel, bias = arrays[held["kernel"]], arrays[held["bias"]]
    hidden = kernel.shape[1] // 4
    inputs = len(kernel) - hidden
    gates = gates_in_order(kernel, "ijfo", "ifjo")
    in_order = "gates i, j, f, o to i, f, j, o"
    shift = np.repeat(np.array([0, forget_bias, 0, 0], bias.dtype), hidden)
    added = f", {forget_bias:g} added to f" if forget_bias else ""
    return "lstm", {
        "input_kernel": one(held["kernel"], gates[:inputs], f"rows to {inputs}, {in_order}"),
        "recurrent_kernel": one(held["kernel"], gates[inputs:], f"rows from {inputs}, {in_order}"),
        "bias": one(held["bias"], gates_in_order(bias, "ijfo", "ifjo") + shift, in_order + added),
    }


def _gru(arrays: Arrays, held: dict[str, str]) -> tuple[str, Parts]:
    """Of GRUCell, or of CudnnCompatibleGRUCell, which resets the hidden state after its product."""
    is_before = "candidate/kernel" in held
    needed = GRU if is_before else CUDNN_GRU
    missing = [key for key in needed if key not in held]
    if missing:
        raise UserError(f"{next(iter(held.values()))}: of this GRU {', '.join(missing)} is missing")
    others = sorted(held.keys() - set(needed))
    if others:
        raise UserError(f"{held[others[0]]}: it is no part of a GRU")

    def beside(how: str, *pieces: tuple[str, slice]) -> Part:
        names = tuple(held[key] for key, _ in pieces)
        arrays_of = [arrays[held[key]][rows] for key, rows in pieces]
        return several(names, np.concatenate(arrays_of, axis=-1), how)

    gates = arrays[held["gates/kernel"]]
    inputs = len(gates) - gates.shape[1] // 2
    upper, lower, whole = slice(inputs), slice(inputs, None), slice(None)
    if is_before:
        of_inputs, of_hidden = ("candidate/kernel", upper), ("candidate/kernel", lower)
        bias = "candidate/bias"
    else:
        *_, input_kernel, bias, hidden_kernel, hidden_bias = CUDNN_GRU
        of_inputs, of_hidden = (input_kernel, whole), (hidden_kernel, whole)
    parts = {
        "input_kernel": beside(f"rows to {inputs}", ("gates/kernel", upper), of_inputs),
        "recurrent_kernel": beside(f"rows from {inputs}", ("gates/kernel", lower), of_hidden),
        "bias": beside("side by side", ("gates/bias", whole), (bias, whole)),
    }
    if is_before:
        return "gru_reset_before", parts
    return "gru", parts | {"candidate_bias": one(held[hidden_bias], arrays[held[hidden_bias]])}


GRU = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")
CUDNN_GRU = (
    "gates/kernel",
    "gates/bias",
    "candidate/input_projection/kernel",
    "candidate/input_projection/bias",
    "candidate/hidden_projection/kernel",
    "candidate/hidden_projection/bias",
)
