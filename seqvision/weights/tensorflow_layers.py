"""Layers in the variables of TensorFlow 1: tf.layers, and the cells of tf.nn.rnn_cell.

LSTMs hold one kernel (inputs + hidden, 4 x hidden), inputs first, with the gates i, j, f, o. What
they call the forget bias is added when they run and is not in the checkpoint.
"""

import re
from collections.abc import Iterable

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.layers import Arrays, Layers, Part, Parts, Recurrent, gates_in_order, one

SLOTS = ("Adam", "Adam_1")
"""Of Adam: the mean of the gradients and of their squares."""

_PASSED_OVER = re.compile(r"(.*/)?(global_step|beta[12]_power)$")
_CELL = re.compile(
    r"(?P<stack>.*?)(?:cell_(?P<layer>\d+)/)?(?:bidirectional_rnn/)?(?:(?P<direction>fw|bw)/)?"
    r"(?:multi_rnn_cell/cell_(?P<number>\d+)/)?"
    r"(?P<cell>basic_lstm_cell|lstm_cell|lstm_fused_cell|cudnn_compatible_gru_cell|gru_cell)/"
    r"(?P<array>.+)$"
)
_LSTM_CELLS = ("basic_lstm_cell", "lstm_cell", "lstm_fused_cell")


def variables(arrays: Arrays) -> list[str]:
    """The names of the weights: all but counters and the slots of optimizers."""
    return [
        name
        for name in arrays
        if not _PASSED_OVER.match(name) and not name.rpartition("/")[2].startswith(("Adam", "RMS"))
    ]


def read(arrays: Arrays, forget_bias: float = 1.0) -> Layers:
    """The layers of a checkpoint.

    Args:
      arrays: its variables; of slots, each under the name of its variable.
      forget_bias: what the program added to the forget gate; 0 for slots.

    Raises:
      UserError: an array has no place, or a layer is one that we do not have.
    """
    names = variables(arrays)
    convolutions = [
        {"kernel": one(f"{layer}/kernel", arrays[f"{layer}/kernel"])}
        | {"bias": one(f"{layer}/bias", arrays[f"{layer}/bias"])}
        for layer in _layers_of("conv2d", names)
    ]
    dense = _layers_of("dense", names)
    if len(dense) != 1:
        raise UserError(
            f"the checkpoint has {len(dense)} dense layers ({', '.join(dense) or 'none'}); a"
            " network of ours ends in one, its classifier"
        )
    classifier = {
        part: one(f"{dense[0]}/{part}", arrays[f"{dense[0]}/{part}"]) for part in ("kernel", "bias")
    }
    return Layers(tuple(convolutions), _recurrent(arrays, names, forget_bias), classifier)


def slots(arrays: Arrays, slot: str) -> dict[str, np.ndarray]:
    """The arrays of a slot, one of `SLOTS`, each under the name of its variable."""
    names = [name for name in variables(arrays) if f"{name}/{slot}" in arrays]
    return {name: arrays[f"{name}/{slot}"] for name in names}


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
        raise UserError("the checkpoint has no recurrent cell of a kind that is known (LSTM, GRU)")
    if len(kinds) > 1:
        raise UserError(f"the checkpoint has cells of several kinds: {', '.join(sorted(kinds))}")
    is_lstm = kinds <= set(_LSTM_CELLS)
    layers = []
    for number in sorted({layer for layer, _ in cells}):
        found = [cells[at] for at in ((number, "fw"), (number, "bw")) if at in cells]
        read_cell = _lstm if is_lstm else _gru
        parts = tuple(read_cell(arrays, held, forget_bias) for held in found)
        layers.append(Recurrent("lstm" if is_lstm else "gru", parts))
    return tuple(layers)


def _lstm(arrays: Arrays, held: dict[str, str], forget_bias: float) -> Parts:
    others = sorted(held.keys() - {"kernel", "bias"})
    if others:
        raise UserError(f"{held[others[0]]}: peepholes and projections are not in our LSTM")
    kernel, bias = arrays[held["kernel"]], arrays[held["bias"]]
    hidden = kernel.shape[1] // 4
    inputs = len(kernel) - hidden
    gates = gates_in_order(kernel, "ijfo", "ifjo")
    in_order = "gates i, j, f, o to i, f, j, o"
    shift = np.repeat(np.array([0, forget_bias, 0, 0], bias.dtype), hidden)
    added = f", {forget_bias:g} added to f" if forget_bias else ""
    return {
        "input_kernel": one(held["kernel"], gates[:inputs], f"rows to {inputs}, {in_order}"),
        "recurrent_kernel": one(held["kernel"], gates[inputs:], f"rows from {inputs}, {in_order}"),
        "bias": one(held["bias"], gates_in_order(bias, "ijfo", "ifjo") + shift, in_order + added),
    }


def _gru(arrays: Arrays, held: dict[str, str], forget_bias: float) -> Parts:
    """Of CudnnCompatibleGRUCell: GRUCell itself resets h before the product, ours after it."""
    del forget_bias
    if "candidate/kernel" in held:
        raise UserError(
            f"{held['candidate/kernel']}: this GRU resets the hidden state before its product, ours"
            " after it (as cuDNN); no weights make them equal"
        )
    names = {key: held.get(key, "") for key in _GRU_ARRAYS}
    missing = [key for key, name in names.items() if not name]
    if missing:
        raise UserError(f"{next(iter(held.values()))}: of this GRU {', '.join(missing)} is missing")
    gates, bias = arrays[names["gates/kernel"]], arrays[names["gates/bias"]]
    hidden = gates.shape[1] // 2
    inputs = len(gates) - hidden
    from_inputs = arrays[names["candidate/input_projection/kernel"]]
    from_hidden = arrays[names["candidate/hidden_projection/kernel"]]
    sources = names["gates/kernel"], names["candidate/input_projection/kernel"]
    biases = names["gates/bias"], names["candidate/input_projection/bias"]

    def beside(one_name: tuple[str, ...], left: np.ndarray, right: np.ndarray, how: str) -> Part:
        return Part(
            np.concatenate([left, right], axis=-1), f"{', '.join(one_name)}: {how}", one_name
        )

    hidden_names = names["gates/kernel"], names["candidate/hidden_projection/kernel"]
    return {
        "input_kernel": beside(sources, gates[:inputs], from_inputs, f"rows to {inputs}"),
        "recurrent_kernel": beside(
            hidden_names, gates[inputs:], from_hidden, f"rows from {inputs}"
        ),
        "bias": beside(biases, bias, arrays[biases[1]], "side by side"),
        "candidate_bias": one(
            names["candidate/hidden_projection/bias"],
            arrays[names["candidate/hidden_projection/bias"]],
        ),
    }


_GRU_ARRAYS = (
    "gates/kernel",
    "gates/bias",
    "candidate/input_projection/kernel",
    "candidate/input_projection/bias",
    "candidate/hidden_projection/kernel",
    "candidate/hidden_projection/bias",
)
