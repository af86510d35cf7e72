"""Fitting of layers to a network of ours: what they say about it, and the place of each."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from seqvision.errors import UserError
from seqvision.weights import flax_layers, keras_layers, own_layers, tensorflow_layers, torch_layers
from seqvision.weights.layers import Arrays, Layers, Part
from seqvision.weights.refusals import shown

READERS = {
    "tensorflow": tensorflow_layers.read,
    "keras": keras_layers.read,
    "torch": torch_layers.read,
    "flax": flax_layers.read,
    "seqvision": own_layers.read,
}


def implied(layers: Layers) -> dict[str, Any]:
    """Fields of `config.model` that the layers leave no choice about, by name."""
    first = layers.recurrent[0]
    fields: dict[str, Any] = {
        "cell": first.cell,
        "hidden_size": first.hidden_size,
        "num_layers": len(layers.recurrent),
        "bidirectional": len(first.directions) == 2,
    }
    if layers.convolutions:
        blocks = layers.convolutions[: layers.num_blocks]
        fields["cnn_channels"] = tuple(block["bias"].array.shape[-1] for block in blocks)
    if layers.is_per_frame:
        fields["cnn_per_frame"] = True
    return fields


def fit(
    layers: Layers,
    shapes: Mapping[str, tuple[int, ...]],
    given: Collection[str],
    features: tuple[int, ...] | None = None,
) -> dict[str, Part]:
    """Our parameters by name, all of them, each of its shape.

    Args:
      layers: from any format.
      shapes: of our parameters, by name.
      given: the names of the source's arrays, all of which must be used.
      features: (height, width, channels) of what a CNN hands on, None without one.

    Raises:
      UserError: an array is left over, has no place or another shape, or is not finite.
    """
    parts = own_layers.write(layers, features)
    for name, part in parts.items():
        if name not in shapes:
            raise UserError(
                f"{part.origin}: the network of this config has no place for it ({name})"
            )
        if part.array.shape != shapes[name]:
            raise _misfit(name, part, shapes[name])
        if part.array.dtype.kind != "f":
            raise UserError(f"{part.origin}: numbers of {part.array.dtype}, not of floating point")
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(part.array.astype(np.float32)).all()
        if not is_finite:
            raise UserError(f"{part.origin}: it has values that are not finite in float32")
    missing = sorted(shapes.keys() - parts.keys())
    if missing:
        raise UserError(
            f"nothing in the file is for {', '.join(missing)}; choose a config of the same"
            " architecture"
        )
    used = {source for part in parts.values() for source in part.sources}
    others = [name for name in given if name not in used]
    if others:
        raise UserError(
            f"{shown(', '.join(others))}: the network of this config has no place for it"
        )
    return parts


def _misfit(name: str, part: Part, shape: tuple[int, ...]) -> UserError:
    """The error about a part of another shape than ours."""
    found = part.array.shape
    if name.startswith("classifier/") and found[:-1] == shape[:-1]:
        return UserError(
            f"{part.origin}: {found[-1]} classes, and the data of this config have {shape[-1]};"
            " choose the data that the network was trained on (config.data)"
        )
    if name.endswith("/input_kernel") and "/layer_0" in name and found[1:] == shape[1:]:
        return UserError(
            f"{part.origin}: it reads {found[0]} numbers a step, and a step of this config has"
            f" {shape[0]}; choose what a step was (config.model.sequence) and images of the size"
            " that it was trained on"
        )
    return UserError(
        f"{part.origin}: shape {found}, and {name} has {shape}; choose a config of the same"
        " architecture"
    )


def table(parts: Mapping[str, Part]) -> list[str]:
    """Lines for people: each of our arrays, its shape, and what it comes from."""
    width = max(map(len, parts))
    return [
        f"  {name:{width}}  {' x '.join(map(str, part.array.shape)):>16}  from {part.origin}"
        for name, part in sorted(parts.items())
    ]


def weights_in(kind: str, arrays: Arrays) -> list[str]:
    """The names of the arrays that are weights."""
    return tensorflow_layers.variables(arrays) if kind == "tensorflow" else list(arrays)
