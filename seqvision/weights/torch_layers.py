"""Layers in a state_dict of PyTorch: nn.LSTM, nn.GRU, nn.Conv2d and nn.Linear, both ways.

Kernels are (out, in), convolutions (out, in, height, width). Recurrent layers have two biases,
which are added but for the candidate of a GRU; gates are i, f, g, o and r, z, n, as ours.
"""

import re
from typing import Any

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

_RECURRENT = re.compile(
    r"(?P<module>.*?)(?P<array>weight|bias)_(?P<kind>ih|hh|hr)_l(?P<layer>\d+)(?P<back>_reverse)?$"
)

_CELLS = {4: "lstm", 3: "gru"}


def read(arrays: Arrays) -> Layers:
    """The layers of a state_dict.

    Raises:
      UserError: an array has no place, or a layer is one that we do not have.
    """
    modules = {match["module"] for match in map(_RECURRENT.match, arrays) if match}
    if not modules:
        raise not_found("the state_dict", "nn.LSTM or nn.GRU", arrays, "recurrent/layer_0/cell")
    if len(modules) > 1:
        names = [module.removesuffix(".") for module in sorted(modules)]
        raise UserError(
            f"the state_dict has {len(modules)} recurrent modules ({', '.join(names)}) and does not"
            f" tell their order; name it: --mode=import --map={names[0]}:recurrent/layer_0/cell,..."
        )
    recurrent = _recurrent(arrays, modules.pop())
    convolutions, linear = [], []
    for name, array in arrays.items():
        if not name.endswith("weight"):
            continue
        bias = f"{name.removesuffix('weight')}bias"
        offset = one(bias, arrays[bias]) if bias in arrays else no_bias(name, len(array), array)
        if array.ndim == 4:
            kernel = one(name, array.transpose(2, 3, 1, 0), "to (height, width, in, out)")
            convolutions.append({"kernel": kernel, "bias": offset})
        elif array.ndim == 2:
            linear.append({"kernel": one(name, array.T, "transposed"), "bias": offset})
    check_is_one("the state_dict", [parts["kernel"].sources[0] for parts in linear], arrays)
    return Layers(tuple(convolutions), recurrent, linear[0], flattened="chw")


def _recurrent(arrays: Arrays, module: str) -> tuple[Recurrent, ...]:
    found: dict[tuple[int, bool], dict[str, str]] = {}
    for match in map(_RECURRENT.match, arrays):
        if match is None:
            continue
        if match["kind"] == "hr":
            raise UserError(f"{match[0]}: projections are not in our LSTM")
        at = int(match["layer"]), bool(match["back"])
        found.setdefault(at, {})[f"{match['array']}_{match['kind']}"] = match[0]
    layers = []
    for number in sorted({number for number, _ in found}):
        directions = [found[at] for at in ((number, False), (number, True)) if at in found]
        cells = [_direction(arrays, held) for held in directions]
        kinds = {cell for cell, _ in cells}
        layers.append(Recurrent(kinds.pop(), tuple(parts for _, parts in cells)))
    return tuple(layers)


def _direction(arrays: Arrays, held: dict[str, str]) -> tuple[str, Parts]:
    biases = held.keys() & {"bias_ih", "bias_hh"}
    # With bias=False both are not there.
    needed = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if biases else ()))
    missing = [key for key in needed if key not in held]
    if missing:
        raise UserError(
            f"{next(iter(held.values()))}: of this layer {', '.join(missing)} is missing; save the"
            " whole state_dict"
        )
    names = {key: held[key] for key in needed}
    weight_ih, weight_hh = arrays[names["weight_ih"]], arrays[names["weight_hh"]]
    num_gates = len(weight_hh) // weight_hh.shape[1]
    if num_gates not in _CELLS:
        raise UserError(f"{names['weight_hh']}: {num_gates} gates; 4 (LSTM) or 3 (GRU) are known")
    parts = {
        "input_kernel": one(names["weight_ih"], weight_ih.T, "transposed"),
        "recurrent_kernel": one(names["weight_hh"], weight_hh.T, "transposed"),
    }
    if not biases:
        none = no_bias(names["weight_ih"], len(weight_ih), weight_ih)
        if _CELLS[num_gates] == "lstm":
            return "lstm", parts | {"bias": none}
        of_candidate = no_bias(names["weight_hh"], weight_hh.shape[1], weight_hh)
        return "gru", parts | {"bias": none, "candidate_bias": of_candidate}
    both = names["bias_ih"], names["bias_hh"]
    bias_ih, bias_hh = (arrays[name] for name in both)
    if _CELLS[num_gates] == "lstm":
        return "lstm", parts | {"bias": several(both, bias_ih + bias_hh, "added")}
    gates = bias_ih.copy()
    hidden = weight_hh.shape[1]
    gates[: 2 * hidden] += bias_hh[: 2 * hidden]
    how = "added for r and z, the first alone for n"
    candidate = one(both[1], bias_hh[2 * hidden :], "of n")
    return "gru", parts | {"bias": several(both, gates, how), "candidate_bias": candidate}


def write(layers: Layers, features: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
    """A state_dict with the modules `rnn` and `classifier`, and `conv_0`, ...

    The second bias of a recurrent layer is -0, which changes no bit of what it is added to (0 would
    change -0), but for the candidate of a GRU.

    Args:
      layers: ours.
      features: (height, width, channels) that a CNN hands on; PyTorch flattens them in another
        order.
    """
    found: dict[str, Any] = {}
    for number, block in enumerate(layers.convolutions):
        found[f"conv_{number}.weight"] = block["kernel"].array.transpose(3, 2, 0, 1)
        found[f"conv_{number}.bias"] = block["bias"].array
    for number, layer in enumerate(layers.recurrent):
        for parts, back in zip(layer.directions, ("", "_reverse"), strict=False):
            end = f"l{number}{back}"
            bias = parts["bias"].array
            second = np.full_like(bias, -0.0)
            if layer.cell == "gru":
                second[-layer.hidden_size :] = parts["candidate_bias"].array
            kernel = parts["input_kernel"].array
            if number == 0 and layers.convolutions and features is not None:
                kernel = kernel.reshape(*features, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            found[f"rnn.weight_ih_{end}"] = kernel.T
            found[f"rnn.weight_hh_{end}"] = parts["recurrent_kernel"].array.T
            found[f"rnn.bias_ih_{end}"] = bias
            found[f"rnn.bias_hh_{end}"] = second
    found["classifier.weight"] = layers.classifier["kernel"].array.T
    found["classifier.bias"] = layers.classifier["bias"].array
    return {name: np.ascontiguousarray(array) for name, array in found.items()}
