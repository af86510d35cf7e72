"""The state of a run that starts from weights which another library trained."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from seqvision.errors import UserError
from seqvision.models.parameters import named_leaves
from seqvision.training.state import TrainState
from seqvision.weights import fitting, keras_config, tensorflow_layers
from seqvision.weights.layers import Arrays, Layers, check_is_alike
from seqvision.weights.own_run import is_own_run
from seqvision.weights.refusals import shown
from seqvision.weights.source import Source, open_source

_EXPORTED = ("model.safetensors", "model.weights.h5")
"""In a folder that `--mode=export --format=torch`, `keras` or `safetensors` wrote."""

_ODD_SHAPES = (ValueError, IndexError, KeyError, ZeroDivisionError)
"""What the reading of arrays raises whose shapes are not those of the layers that they name."""

_MANY_UPDATES = 1_000_000
"""So many that Adam's correction of its start is 1."""
_MOST_UPDATES = 2**31 - 1


def is_foreign(path: Path) -> bool:
    """Whether there is something, and it is no run of seqvision."""
    is_there = path.exists() or path.with_name(f"{path.name}.index").exists()
    return is_there and not is_own_run(path)


def foreign_layers(path: Path) -> tuple[Source, Layers]:
    """`foreign_source` and its `layers_of`."""
    source = foreign_source(path)
    return source, layers_of(path, source)


def foreign_source(path: Path) -> Source:
    """The arrays in a file or folder of another library.

    Raises:
      UserError: there are none, or they are damaged.
    """
    named = [path / name for name in _EXPORTED if (path / name).is_file()]
    source = open_source(named[0] if named else path)
    if source.kind == "seqvision" and not source.arrays:
        raise UserError(f"{path}: a run of seqvision; name it in config.init_from of a training")
    odd = [name for name in source.arrays if not name.isprintable()]
    if odd:
        raise UserError(f"{path}: the name of an array cannot be printed ({shown(odd[0])})")
    return source


def layers_of(path: Path, source: Source) -> Layers:
    """The layers that the arrays of a file or folder are.

    Raises:
      UserError: no network of ours has such layers, or the file is damaged.
    """
    try:
        keras_config.check(source.facts.get("config", {}))
        layers = fitting.READERS[source.kind](source.arrays)
        check_is_alike(layers.recurrent)
        return layers
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except _ODD_SHAPES as error:
        raise UserError(
            f"{path}: its arrays have not the shapes of the layers that their names say ({error})"
        ) from error


def with_weights(
    state: TrainState,
    source: Source,
    layers: Layers,
    input_shape: tuple[int, ...],
    num_axes: int = 0,
) -> tuple[TrainState, list[str]]:
    """The state with these weights.

    Args:
      state: before its first step.
      source, layers: see `foreign_layers`.
      input_shape: of an image or clip, (..., height, width, channels).
      num_axes: how many first axes of the state's arrays are seeds, which all get the same.

    Returns:
      The state, and lines of text: where each array comes from.

    Raises:
      UserError: an array is left over or has no place.
    """
    shapes = {name: leaf.shape[num_axes:] for name, leaf in named_leaves(state.params)}
    names = fitting.weights_in(source.kind, source.arrays)
    features = features_of(layers, input_shape)
    parts = fitting.fit(layers, shapes, names, features)
    params = _like(state.params, {name: part.array for name, part in parts.items()})
    inside = f" ({source.facts['inside']} in it)" if "inside" in source.facts else ""
    lines = [f"{len(parts)} arrays from {len(names)} of {source.kind}{inside}:"]
    lines += fitting.table(parts)
    if source.skipped:
        skipped = ", ".join(f"{name} ({kind})" for name, kind in source.skipped.items())
        lines.append(f"not read: {shown(skipped)}")
    opt_state = state.opt_state
    if source.kind == "tensorflow" and (found := _adam(source.arrays)):
        opt_state, told = _with_slots(state, found, _updates(source.arrays), shapes, features)
        lines.append(told)
    ema_params = None if state.ema_params is None else jax.tree.map(jnp.copy, params)
    state = dataclasses.replace(state, params=params, opt_state=opt_state, ema_params=ema_params)
    return state, lines


def padding_of(layers: Layers, input_shape: tuple[int, ...]) -> str | None:
    """`same` or `valid`, whichever gives as many features as the first layer reads; else None."""
    if not layers.convolutions:
        return None
    for padding in ("same", "valid"):
        if math.prod(_sizes(layers, input_shape, padding)) == layers.recurrent[0].input_size:
            return padding
    return None


def features_of(layers: Layers, input_shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """(height, width, channels) of what the CNN hands on; None where no padding gives as many."""
    padding = padding_of(layers, input_shape)
    return None if padding is None else _sizes(layers, input_shape, padding)


def _sizes(layers: Layers, input_shape: tuple[int, ...], padding: str) -> tuple[int, ...]:
    """(height, width, channels) behind blocks of a 3 x 3 convolution and pooling by 2."""
    height, width = input_shape[-3:-1]
    for _ in range(layers.num_blocks):
        if padding == "same":
            height, width = -(-height // 2), -(-width // 2)
        else:
            height, width = (height - 2) // 2, (width - 2) // 2
    return height, width, layers.convolutions[layers.num_blocks - 1]["bias"].array.shape[-1]


def _like(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """A tree of that structure; each array where the other lies, in its type."""
    leaves = [_in_place_of(leaf, arrays[name]) for name, leaf in named_leaves(tree)]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def _in_place_of(leaf: Any, array: Any) -> Any:
    values = np.broadcast_to(np.asarray(array, leaf.dtype), leaf.shape)
    return jax.device_put(values, leaf.sharding)


def _adam(arrays: Arrays) -> dict[str, dict[str, np.ndarray]]:
    """Both slots, where all variables have them."""
    found = {slot: tensorflow_layers.slots(arrays, slot) for slot in tensorflow_layers.SLOTS}
    count = len(tensorflow_layers.variables(arrays))
    return found if all(len(slot) == count for slot in found.values()) else {}


def _with_slots(
    state: TrainState,
    found: Mapping[str, Arrays],
    updates: int,
    shapes: Mapping[str, tuple[int, ...]],
    features: tuple[int, ...] | None,
) -> tuple[Any, str]:
    """The optimizer's memory with Adam's, and a line about it."""
    moments = []
    for slot in tensorflow_layers.SLOTS:
        try:
            # Gates move as in the weights; a forget bias is none of a gradient.
            read = tensorflow_layers.read(found[slot], forget_bias=0)
            parts = fitting.fit(read, shapes, list(found[slot]), features)
        except (UserError, *_ODD_SHAPES) as error:
            raise UserError(f"the slots {slot} are not like the weights: {error}") from error
        moments.append({name: part.array for name, part in parts.items()})

    def is_adam(leaf: Any) -> bool:
        return isinstance(leaf, optax.ScaleByAdamState)

    leaves, structure = jax.tree.flatten(state.opt_state, is_leaf=is_adam)
    places = [at for at, leaf in enumerate(leaves) if is_adam(leaf)]
    if len(places) != 1:
        return (
            state.opt_state,
            "the slots of Adam are not used: the optimizer of the config is another",
        )
    own = leaves[places[0]]
    mean, square = (_like(own.mu, moment) for moment in moments)
    count = _in_place_of(own.count, updates)
    leaves[places[0]] = own._replace(count=count, mu=mean, nu=square)
    told = f"Adam goes on from its slots, after {updates} updates"
    return jax.tree.unflatten(structure, leaves), told


def _updates(arrays: Arrays) -> int:
    """How many updates Adam's slots had.

    `global_step` counts them; without it `beta2_power` tells, which is one power more of 0.999, the
    default of TensorFlow.
    """

    def number(ending: str) -> float:
        held = [np.ravel(arrays[name]) for name in arrays if name.endswith(ending)]
        return float(held[0][0]) if held and held[0].size == 1 else math.nan

    count, power = number("global_step"), number("beta2_power")
    if math.isnan(count) and 0 < power < 1:
        count = round(math.log(power) / math.log(0.999)) - 1
    return int(np.clip(_MANY_UPDATES if math.isnan(count) else count, 0, _MOST_UPDATES))
