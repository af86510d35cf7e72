"""Layers in parameters of Flax Linen: OptimizedLSTMCell, LSTMCell, GRUCell, Conv and Dense.

Each gate has a kernel for the inputs (ii, if, ig, io) and one for the hidden state (hi, hf, hg,
ho), which has the bias; GRUs ir, iz, in and hr, hz, hn, of which ir, iz, in and hn have one.
"""

import re

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.layers import Arrays, Layers, Parts, Recurrent, one, several

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
        raise UserError("the tree has no LSTMCell, OptimizedLSTMCell or GRUCell")
    recurrent = tuple(
        _cell(arrays, name, gates) for name, gates in sorted(cells.items(), key=_number)
    )
    convolutions: list[Parts] = []
    dense: list[Parts] = []
    for name, array in arrays.items():
        base, _, kind = name.rpartition("/")
        if kind != "kernel" or _GATE.match(name):
            continue
        if f"{base}/bias" not in arrays:
            raise UserError(f"{name}: it has no bias; layers of ours have one")
        parts = {"kernel": one(name, array), "bias": one(f"{base}/bias", arrays[f"{base}/bias"])}
        (convolutions if array.ndim == 4 else dense).append(parts)
    if len(dense) != 1:
        names = ", ".join(parts["kernel"].sources[0] for parts in dense)
        raise UserError(
            f"the tree has {len(dense)} dense layers ({names or 'none'}); a network of ours ends in"
            " one, its classifier"
        )
    return Layers(tuple(convolutions), recurrent, dense[0])


def _number(item: tuple[str, set[str]]) -> tuple[list[int], str]:
    """`cell_2` before `cell_10`."""
    return [int(digits) for digits in re.findall(r"\d+", item[0])], item[0]


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
