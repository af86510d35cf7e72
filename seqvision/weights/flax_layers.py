"""Layers in parameters of Flax Linen: OptimizedLSTMCell, LSTMCell, GRUCell, Conv and Dense.

Each gate has a kernel for the inputs (ii, if, ig, io) and one for the hidden state (hi, hf, hg,
ho), which has the bias; GRUs ir, iz, in and hr, hz, hn, of which ir, iz, in and hn have one.
"""

import itertools
import re

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.layers import (
    Arrays,
    Layers,
    Parts,
    Recurrent,
    check_is_one,
    no_bias,
    not_found,
    one,
    several,
)

_GATES = {"lstm": "ifgo", "gru": "rzn"}
_GATE = re.compile(r"(?P<cell>.+)/(?P<gate>[ih][ifgorzn])/(?P<array>kernel|bias)$")


def read(arrays: Arrays) -> Layers:
    """The layers of a tree, its names joined by `/`.

    Raises:
      UserError: an array has no place.
    """
    cells: dict[str, set[str]] = {}
    for match in map(_GATE.match, arrays):
        if match:
            cells.setdefault(match["cell"], set()).add(match["gate"])
    if not cells:
        what = "LSTMCell, OptimizedLSTMCell or GRUCell"
        raise not_found("the tree", what, arrays, "recurrent/layer_0/cell")
    recurrent = _in_order({name: _cell(arrays, name, gates) for name, gates in cells.items()})
    convolutions: list[Parts] = []
    dense: list[Parts] = []
    for name in sorted(arrays, key=_numbers):
        array = arrays[name]
        base, _, kind = name.rpartition("/")
        if kind != "kernel" or _GATE.match(name):
            continue
        bias = f"{base}/bias"
        parts = {
            "kernel": one(name, array),
            "bias": one(bias, arrays[bias])
            if bias in arrays
            else no_bias(name, array.shape[-1], array),
        }
        (convolutions if array.ndim == 4 else dense).append(parts)
    check_is_one("the tree", [parts["kernel"].sources[0] for parts in dense], arrays)
    return Layers(tuple(convolutions), recurrent, dense[0])


def _in_order(cells: dict[str, Recurrent]) -> tuple[Recurrent, ...]:
    """By the numbers in their names; but the one that reads another size is the first.

    JAX sorts trees by name, so the order of the file says nothing.

    Raises:
      UserError: names and shapes leave a choice.
    """
    others = [name for name, cell in cells.items() if cell.input_size != cell.hidden_size]
    first = others if len(others) == 1 else []
    rest = sorted((n for n in sorted(cells) if n not in first), key=_numbers)
    numbers = [_numbers(name) for name in rest]
    if any(one == other for one, other in itertools.pairwise(numbers)):
        raise UserError(
            f"the names of {', '.join(rest)} do not tell which reads the outputs of which; name"
            f" each: --mode=import --map={rest[0]}:recurrent/layer_{len(first)}/cell,..."
        )
    return tuple(cells[name] for name in (*first, *rest))


def _numbers(name: str) -> list[int]:
    """`cell_2` before `cell_10`."""
    return [int(digits) for digits in re.findall(r"\d+", name)]


def _cell(arrays: Arrays, name: str, gates: set[str]) -> Recurrent:
    cell = "gru" if "hn" in gates else "lstm"
    order = _GATES[cell]
    missing = sorted({f"{side}{gate}" for side in "ih" for gate in order} - gates)
    if missing:
        raise UserError(f"{name}: {', '.join(missing)} are missing of this {cell}")

    def beside(side: str, array: str) -> tuple[tuple[str, ...], np.ndarray]:
        names = tuple(f"{name}/{side}{gate}/{array}" for gate in order)
        return names, np.concatenate([arrays[one_name] for one_name in names], axis=-1)

    parts: Parts = {
        "input_kernel": several(*beside("i", "kernel"), "side by side"),
        "recurrent_kernel": several(*beside("h", "kernel"), "side by side"),
        "bias": several(*beside("h" if cell == "lstm" else "i", "bias"), "side by side"),
    }
    if cell == "gru":
        parts["candidate_bias"] = one(f"{name}/hn/bias", arrays[f"{name}/hn/bias"])
    return Recurrent(cell, (parts,))
