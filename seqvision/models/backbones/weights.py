"""Weights of a backbone out of a file of torchvision, timm or EfficientNet-PyTorch."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqvision.errors import UserError
from seqvision.models.backbones import BACKBONES, Backbone
from seqvision.models.backbones.layers import EPSILON
from seqvision.models.backbones.names import Naming, is_left_out, namings
from seqvision.models.parameters import named_leaves
from seqvision.runtime.atomic_write import write_atomically
from seqvision.runtime.regular_file import open_regular
from seqvision.weights.refusals import damaged, refused, shown
from seqvision.weights.source import open_source
from seqvision.weights.stored_arrays import StoredArrays

OWN = ".npz"
"""Of files in which a run keeps its backbone."""

_KINDS = (
    "config.model.backbone_weights takes the file of a state_dict (.safetensors, .pth, .pt); name"
    " or download it again"
)


def load_backbone(path: Path, name: str) -> dict[str, Any]:
    """The parameters of `Backbone(name)`, in numpy, out of a file.

    Args:
      path: a state_dict (.safetensors, .pth, .pt), or what `save_backbone` wrote.
      name: a name in `BACKBONES`.

    Raises:
      UserError: it cannot be read, is of another network, lacks a layer, or has one of another
        shape: one line.
    """
    shapes = shapes_of(name)
    if path.suffix == OWN:
        return _nested(_own(path, name, shapes))
    arrays = open_source(path, _KINDS).arrays
    naming = _naming(path, name, arrays)
    found = dict[str, np.ndarray]()
    for ours, theirs in naming.layers.items():
        found |= _layer(path, f"network/{ours}", theirs, arrays, naming, shapes)
    mean, std = (np.array(values, np.float32) for values in naming.scaling)
    return _nested(found | {"mean": mean, "std": std})


def save_backbone(path: Path, params: Mapping[str, Any]) -> None:
    """Writes parameters whole or not at all, for `load_backbone`."""
    arrays = {name: np.asarray(array) for name, array in named_leaves(params)}
    write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def digest_of(params: Mapping[str, Any]) -> str:
    """SHA-256 of all parameters, whatever file they come from."""
    digest = hashlib.sha256()
    for name, array in named_leaves(params):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@functools.cache
def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of a backbone, by their names."""
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables: Any = jax.eval_shape(Backbone(name).init, jax.random.key(0), images)
    return {leaf: array.shape for leaf, array in named_leaves(variables["params"])}


def _naming(path: Path, name: str, arrays: StoredArrays) -> Naming:
    """The naming that a file follows.

    Raises:
      UserError: it is of another network.
    """

    def known(network: str) -> tuple[int, Naming]:
        """The naming of this network that the most arrays follow, and how many do."""
        found = [
            (sum(f"{conv}.weight" in arrays for conv, _ in one.layers.values()), one)
            for one in namings(network)
        ]
        return max(found, key=lambda pair: pair[0])

    count, naming = known(name)
    fitting = [other for other in BACKBONES if _fits(known(other), arrays)]
    if name in fitting:
        return naming
    if fitting:
        raise refused(
            path,
            f"the weights of {' or '.join(fitting)}, and config.model.backbone is {name}",
            f"set config.model.backbone={fitting[0]}, or name a file of {name}",
        )
    if count == 0:
        libraries = " or ".join(one.library for one in namings(name))
        raise refused(
            path,
            f"no layer of {name} is in it; it has {', '.join(map(shown, list(arrays)[:3]))}",
            f"name a state_dict of {name} with the names of {libraries}",
        )
    return naming


def _fits(found: tuple[int, Naming], arrays: StoredArrays) -> bool:
    """Whether a file has all layers of a network, and none but its classifier besides."""
    count, naming = found
    if count < len(naming.layers):
        return False
    ours = {part for parts in naming.layers.values() for part in parts}
    return all(is_left_out(naming, array) or array.rpartition(".")[0] in ours for array in arrays)


def _layer(
    path: Path,
    ours: str,
    theirs: tuple[str, str],
    arrays: StoredArrays,
    naming: Naming,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, np.ndarray]:
    """One layer: a convolution and its batch normalisation, or a linear layer with its bias."""
    main, norm = theirs
    if norm:
        names = {
            "kernel": f"{main}.weight", "scale": f"{norm}.weight", "bias": f"{norm}.bias",
            "mean": f"{norm}.running_mean", "var": f"{norm}.running_var",
        }  # fmt: skip
    else:
        names = {"kernel": f"{main}.weight", "bias": f"{main}.bias"}
    found = {}
    for part, name in names.items():
        if name not in arrays:
            raise refused(
                path,
                f"{name} is missing (the names are those of {naming.library})",
                "save the whole state_dict again",
            )
        array = arrays[name].astype(np.float32)
        if array.ndim == 4:  # (out, in, height, width)
            array = array.transpose(2, 3, 1, 0)
            array = array if norm else array[0, 0]
        if part == "var":
            array = (array + (naming.epsilon - EPSILON)).astype(np.float32)
        found[f"{ours}/{part}"] = _checked(path, name, array, shapes[f"{ours}/{part}"])
    return found


def _checked(path: Path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise refused(
            path,
            f"{shown(name)} has the shape {array.shape} in our order of axes, and {shape} is"
            " needed",
            "it is another network of the same names: name the file of the one that is asked for",
        )
    if not np.isfinite(array).all():
        raise refused(path, f"{shown(name)} has values that are not finite", "name another file")
    return array


def _own(path: Path, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """What `save_backbone` wrote."""
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in arrays.files}
    except OSError as error:
        raise refused(path, error.strerror or error, "check the name and your rights") from error
    except Exception as error:  # zipfile and numpy raise many kinds for what they cannot read.
        raise damaged(path, error) from error
    if set(found) != set(shapes):
        raise UserError(
            f"{path}: no backbone {name} that a run keeps; name that of the run, or a state_dict"
        )
    return {key: _checked(path, key, found[key], shape) for key, shape in shapes.items()}


def _nested(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, array in flat.items():
        *parents, last = name.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = array
    return tree
