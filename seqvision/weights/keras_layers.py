"""Layers in weights of Keras: LSTM, GRU, Bidirectional, Conv2D and Dense, both ways.

Gates of an LSTM are i, f, c, o, as ours, the forget bias in the bias; those of a GRU z, r, h. A GRU
with `reset_after` has two biases, which are added but for the candidate; without it, one.
"""

import re
from collections.abc import Iterable

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.layers import (
    Arrays,
    Layers,
    Parts,
    Recurrent,
    check_is_one,
    gates_in_order,
    no_bias,
    not_found,
    one,
)

CLASSES = {"lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU"}
_KEPT = ("kernel", "recurrent_kernel", "bias")
# `.weights.h5` numbers what a layer holds; the older `.h5` names it, with `:0` behind.
_NUMBERED = re.compile(r"(?P<layer>.+?)/(?P<cell>cell/)?vars/(?P<at>\d+)$")
_NAMED = re.compile(r"(?P<layer>.+)/(?P<array>kernel|recurrent_kernel|bias)(?::0)?$")
_SIDE = re.compile(r"/(?P<side>forward|backward)_")


def read(arrays: Arrays) -> Layers:
    """The layers of a model.

    Args:
      arrays: by their paths in the file.

    Raises:
      UserError: an array has no place, or a layer is one that we do not have.
    """
    layers: dict[str, dict[str, str]] = {}
    for name in arrays:
        match = _NUMBERED.match(name)
        if match:
            # A layer without a cell has no recurrent kernel.
            kept = _KEPT if match["cell"] else ("kernel", "bias")
            if int(match["at"]) >= len(kept):
                raise UserError(
                    f"{name}: layers of ours hold {' and '.join(kept)}; batch normalization and"
                    " others that hold more have no place"
                )
            layers.setdefault(match["layer"], {})[kept[int(match["at"])]] = name
        elif match := _NAMED.match(name):
            layers.setdefault(match["layer"], {})[match["array"]] = name
        else:
            raise UserError(f"{name}: it is no kernel, recurrent kernel or bias")
    recurrent, convolutions, dense = _by_kind(arrays, layers)
    check_is_one("the model", dense, arrays)
    blocks = tuple(_with_bias(arrays, layers[name]) for name in convolutions)
    return Layers(
        blocks, _recurrent(arrays, layers, recurrent), _with_bias(arrays, layers[dense[0]])
    )


def _by_kind(
    arrays: Arrays, layers: dict[str, dict[str, str]]
) -> tuple[list[str], list[str], list[str]]:
    """Names of the recurrent, convolutional and dense layers, each in the order of the file."""
    recurrent, convolutions, dense = [], [], []
    for name, held in layers.items():
        if "recurrent_kernel" in held:
            recurrent.append(name)
        elif held.keys() >= {"kernel"} and arrays[held["kernel"]].ndim == 4:
            convolutions.append(name)
        elif held.keys() >= {"kernel"} and arrays[held["kernel"]].ndim != 2:
            raise UserError(
                f"{held['kernel']}: shape {arrays[held['kernel']].shape}, as no LSTM, GRU, Conv2D"
                " or Dense has it; other layers with weights have no place"
            )
        else:
            dense.append(name)
    return recurrent, convolutions, dense


def _with_bias(arrays: Arrays, held: dict[str, str]) -> Parts:
    if "kernel" not in held:
        raise UserError(f"{next(iter(held.values()))}: layers of ours have a kernel and a bias")
    kernel = arrays[held["kernel"]]
    parts = {name: one(source, arrays[source]) for name, source in held.items()}
    return {"bias": no_bias(held["kernel"], kernel.shape[-1], kernel)} | parts


def _recurrent(
    arrays: Arrays, layers: dict[str, dict[str, str]], names: list[str]
) -> tuple[Recurrent, ...]:
    if not names:
        raise not_found("the model", "LSTM or GRU", arrays, "recurrent/layer_0/cell")
    stacks: dict[str, dict[str, str]] = {}
    for name in names:
        side = _SIDE.search(name)
        base = name[: side.start()] if side else name
        stacks.setdefault(base, {})[side["side"] if side else "forward"] = name
    kinds = {re.sub(r"_\d+$", "", base.rpartition("/")[2]) for base in stacks}
    if len(kinds) > 1:
        raise UserError(
            f"the model has recurrent layers of several kinds ({', '.join(sorted(kinds))}), and the"
            " file does not tell their order; ours are all of one kind; name them: --mode=import"
            f" --map={next(iter(stacks))}:recurrent/layer_0/cell,..."
        )
    found = []
    for sides in stacks.values():
        read = [_direction(arrays, layers[sides[s]]) for s in ("forward", "backward") if s in sides]
        found.append(Recurrent(read[0][0], tuple(parts for _, parts in read)))
    return tuple(found)


def _direction(arrays: Arrays, held: dict[str, str]) -> tuple[str, Parts]:
    if "kernel" not in held:
        raise UserError(f"{held['recurrent_kernel']}: of this layer the kernel is missing")
    kernel, recurrent = arrays[held["kernel"]], arrays[held["recurrent_kernel"]]
    num_gates = recurrent.shape[1] // recurrent.shape[0]
    if num_gates == 4:
        parts = {"bias": no_bias(held["kernel"], kernel.shape[1], kernel)}
        ours = {"kernel": "input_kernel"}
        return "lstm", parts | {ours.get(n, n): one(held[n], arrays[held[n]]) for n in held}
    if num_gates != 3:
        raise UserError(
            f"{held['recurrent_kernel']}: {num_gates} gates; 4 (LSTM) or 3 (GRU) are known"
        )
    if "bias" not in held:
        raise UserError(
            f"{held['kernel']}: a GRU with use_bias=False, whose weights do not tell whether it has"
            " reset_after; give it a bias of 0 and save it again"
        )
    bias = arrays[held["bias"]]
    in_order = "gates z, r, h to r, z, h"
    kernels = {
        "input_kernel": one(held["kernel"], gates_in_order(kernel, "zrn", "rzn"), in_order),
        "recurrent_kernel": one(
            held["recurrent_kernel"], gates_in_order(recurrent, "zrn", "rzn"), in_order
        ),
    }
    if bias.ndim == 1:  # reset_after=False
        in_one = one(held["bias"], gates_in_order(bias, "zrn", "rzn"), in_order)
        return "gru_reset_before", kernels | {"bias": in_one}
    hidden = len(recurrent)
    of_input, of_hidden = (gates_in_order(row, "zrn", "rzn") for row in bias)
    candidate = of_hidden[2 * hidden :]
    of_input[: 2 * hidden] += of_hidden[: 2 * hidden]
    return "gru", kernels | {
        "bias": one(held["bias"], of_input, f"{in_order}, rows added for r and z"),
        "candidate_bias": one(held["bias"], candidate, "second row, of h"),
    }


def write(layer: Recurrent) -> list[list[np.ndarray]]:
    """What `set_weights` takes, for each direction: kernel, recurrent kernel, bias."""
    found = []
    for parts in layer.directions:
        arrays = [parts[name].array for name in ("input_kernel", "recurrent_kernel", "bias")]
        if layer.cell == "gru":
            # What -0 is added to keeps its bits; 0 would change -0.
            second = np.full_like(arrays[2], -0.0)
            second[2 * layer.hidden_size :] = parts["candidate_bias"].array
            arrays[2] = np.stack([arrays[2], second])
        if layer.cell != "lstm":
            arrays = [gates_in_order(array, "rzn", "zrn") for array in arrays]
        found.append(arrays)
    return found


def stored(layers: Layers) -> dict[str, np.ndarray]:
    """What `save_weights` of Keras 3 stores of a Sequential with these layers, by its paths.

    Layers are called as their classes, and numbered from the second of a class on.
    """
    found: dict[str, np.ndarray] = {}

    def add(layer: str, number: int, inside: str, arrays: Iterable[np.ndarray]) -> None:
        base = f"layers/{layer}{f'_{number}' if number else ''}/{inside}vars"
        found.update({f"{base}/{at}": array for at, array in enumerate(arrays)})

    for number, block in enumerate(layers.convolutions):
        add("conv2d", number, "", (block["kernel"].array, block["bias"].array))
    for number, layer in enumerate(layers.recurrent):
        directions = write(layer)
        if len(directions) == 1:
            add(CLASSES[layer.cell].lower(), number, "cell/", directions[0])
            continue
        for side, arrays in zip(("forward", "backward"), directions, strict=True):
            add("bidirectional", number, f"{side}_layer/cell/", arrays)
    add("dense", 0, "", (layers.classifier["kernel"].array, layers.classifier["bias"].array))
    return found
