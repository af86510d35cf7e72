"""Layers in seqvision's own parameters, both ways."""

import re

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.layers import (
    NUM_GATES,
    RECURRENT_NAMES,
    Arrays,
    Layers,
    Part,
    Parts,
    Recurrent,
    one,
)

_BLOCK = "sequence/cnn/block_{}/conv"
_DIRECTIONS = ("_forward", "_backward")


def read(arrays: Arrays) -> Layers:
    """The layers of a classifier, its names joined by `/`.

    Raises:
      UserError: the network has a part that other libraries have not.
    """
    blocks: list[Parts] = []
    layers: list[Recurrent] = []
    while f"{_BLOCK.format(len(blocks))}/kernel" in arrays:
        blocks.append(_parts(arrays, _BLOCK.format(len(blocks)), ("kernel", "bias")))
    while found := _layer(arrays, len(layers)):
        layers.append(found)
    network = Layers(tuple(blocks), tuple(layers), _parts(arrays, "classifier", ("kernel", "bias")))
    used = {source for part in network.every_part() for source in part.sources}
    others = sorted(set(arrays) - used)
    if others:
        raise UserError(f"{others[0]}: this part of the network is not in other libraries")
    return network


def write(layers: Layers, input_shape: tuple[int, ...] | None = None) -> dict[str, Part]:
    """Our parameters by name.

    Args:
      layers: from any format.
      input_shape: (height, width, channels) of the CNN's features; needed where these are not in
        our order.
    """
    found: dict[str, Part] = {}
    for number in range(layers.num_blocks):
        blocks = layers.convolutions[number :: layers.num_blocks]
        for name, part in blocks[0].items():
            if layers.is_per_frame:
                part = _of_frames([block[name] for block in blocks])
            found[f"{_BLOCK.format(number)}/{name}"] = part
    for number, layer in enumerate(layers.recurrent):
        ends = _DIRECTIONS if len(layer.directions) == 2 else ("",)
        for end, parts in zip(ends, layer.directions, strict=True):
            if number == 0 and layers.convolutions and layers.flattened == "chw":
                parts = parts | {"input_kernel": _in_our_order(parts["input_kernel"], input_shape)}
            found |= {
                f"recurrent/layer_{number}{end}/cell/{name}": part for name, part in parts.items()
            }
    return found | {f"classifier/{name}": part for name, part in layers.classifier.items()}


def _of_frames(parts: list[Part]) -> Part:
    sources = tuple(source for part in parts for source in part.sources)
    how = f"{sources[0]} to {sources[-1]}: a frame each"
    return Part(np.stack([part.array for part in parts]), how, sources)


def _in_our_order(kernel: Part, input_shape: tuple[int, ...] | None) -> Part:
    if input_shape is None or int(np.prod(input_shape)) != len(kernel.array):
        raise UserError(
            f"{kernel.origin}: {len(kernel.array)} inputs, and the CNN has features of shape"
            f" {input_shape}"
        )
    height, width, channels = input_shape
    rows = kernel.array.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)
    how = f"{kernel.origin}, features from (channel, row, column) to (row, column, channel)"
    return Part(rows.reshape(len(kernel.array), -1), how, kernel.sources)


def _parts(arrays: Arrays, base: str, names: tuple[str, ...]) -> Parts:
    missing = [name for name in names if f"{base}/{name}" not in arrays]
    if missing:
        raise UserError(f"{base}: {', '.join(missing)} are not there; the network is no classifier")
    return {name: one(f"{base}/{name}", arrays[f"{base}/{name}"]) for name in names}


def _layer(arrays: Arrays, number: int) -> Recurrent | None:
    bases = [f"recurrent/layer_{number}{end}/cell" for end in ("", *_DIRECTIONS)]
    found = [base for base in bases if f"{base}/input_kernel" in arrays]
    if not found:
        return None
    names = [name for name in arrays if re.match(re.escape(found[0]) + "/", name)]
    held = {name.rpartition("/")[2] for name in names}
    like = {cell: parts for cell, parts in RECURRENT_NAMES.items() if set(parts) == held}
    hidden, width = arrays[f"{found[0]}/recurrent_kernel"].shape if like else (0, 0)
    cells = [cell for cell in like if width == NUM_GATES[cell] * hidden]
    if not cells:
        raise UserError(
            f"{found[0]}: other libraries have {', '.join(NUM_GATES)} without refine gates alone"
        )
    directions = tuple(_parts(arrays, base, RECURRENT_NAMES[cells[0]]) for base in found)
    return Recurrent(cells[0], directions)
