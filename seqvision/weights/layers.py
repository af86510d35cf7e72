"""Layers as seqvision computes them, whoever trained them: the form that all formats are read into.

Kernels of CNNs are (height, width, in, out), all others (in, out). Gates stand in our order. What
a layer holds is named as in our own parameters.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.refusals import shown


@runtime_checkable
class Arrays(Protocol):
    """Arrays by name: a dict, or those of a file, which are read when they are asked for."""

    def __getitem__(self, name: str, /) -> np.ndarray: ...

    def __contains__(self, name: object, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def items(self) -> Iterable[tuple[str, np.ndarray]]: ...


RECURRENT_NAMES = {
    "lstm": ("input_kernel", "recurrent_kernel", "bias"),
    "gru": ("input_kernel", "recurrent_kernel", "bias", "candidate_bias"),
    "gru_reset_before": ("input_kernel", "recurrent_kernel", "bias"),
}
NUM_GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3}


@dataclasses.dataclass(frozen=True)
class Part:
    """An array of ours.

    Attributes:
      array: its values.
      origin: for people, the array it comes from and what was done to it.
      sources: the names of the arrays it comes from.
    """

    array: np.ndarray
    origin: str
    sources: tuple[str, ...]


Parts = dict[str, Part]


@dataclasses.dataclass(frozen=True)
class Recurrent:
    """One layer.

    Attributes:
      cell: one of `RECURRENT_NAMES`.
      directions: forward, or forward and backward.
    """

    cell: str
    directions: tuple[Parts, ...]

    @property
    def hidden_size(self) -> int:
        return self.directions[0]["recurrent_kernel"].array.shape[0]

    @property
    def input_size(self) -> int:
        return self.directions[0]["input_kernel"].array.shape[0]


@dataclasses.dataclass(frozen=True)
class Layers:
    """A network from its inputs on.

    Attributes:
      convolutions: the blocks of a CNN, each `kernel` and `bias`; of one CNN after the other where
        each frame has its own.
      recurrent: in order.
      classifier: `kernel` (H, K) and `bias` (K,).
      flattened: how the features of a CNN are ordered for the first recurrent layer: `hwc`, which
        is ours, or `chw`.
    """

    convolutions: tuple[Parts, ...]
    recurrent: tuple[Recurrent, ...]
    classifier: Parts
    flattened: str = "hwc"

    @property
    def num_blocks(self) -> int:
        """Blocks of one CNN: until the kernels begin anew."""
        shapes = [block["kernel"].array.shape for block in self.convolutions]
        again = (at for at in range(1, len(shapes)) if shapes[at:] == shapes[: len(shapes) - at])
        return next((at for at in again if len(shapes) % at == 0), len(shapes))

    @property
    def is_per_frame(self) -> bool:
        """Whether there are several CNNs, which differ in their weights alone."""
        return self.num_blocks < len(self.convolutions)

    def every_part(self) -> list[Part]:
        groups = [*self.convolutions, *self.in_directions(), self.classifier]
        return [part for group in groups for part in group.values()]

    def in_directions(self) -> list[Parts]:
        return [parts for layer in self.recurrent for parts in layer.directions]


def not_found(whole: str, what: str, names: Iterable[str], ours: str) -> UserError:
    """The error about a layer that is not found among the arrays of these names."""
    return UserError(
        f"{whole} has no {what} of a name that is known; its arrays are {shown(', '.join(names))};"
        f" name it: --mode=import --map=NAME:{ours}"
    )


def check_is_one(whole: str, dense: Sequence[str], names: Iterable[str]) -> None:
    """Raises UserError unless there is one dense layer, the classifier."""
    if not dense:
        raise not_found(whole, "dense layer", names, "classifier")
    if len(dense) > 1:
        raise UserError(
            f"{whole} has {len(dense)} dense layers ({', '.join(dense)}); a network of ours ends in"
            " one, its classifier"
        )


def gates_in_order(array: np.ndarray, given: str, wanted: str) -> np.ndarray:
    """The last axis holds gates side by side; `given` and `wanted` name them, a letter each."""
    gates = dict(zip(given, np.split(array, len(given), axis=-1), strict=True))
    return np.concatenate([gates[gate] for gate in wanted], axis=-1)


def one(source: str, array: np.ndarray, how: str = "") -> Part:
    """A part from one array; `how` says what was done to it."""
    return Part(np.asarray(array), f"{source}{': ' if how else ''}{how}", (source,))


def no_bias(source: str, size: int, array: np.ndarray) -> Part:
    """The bias of a layer without one, which adds 0.

    Args:
      source: the array of the layer that the line about it names.
      size: of the bias.
      array: of the layer, for its type.
    """
    return Part(np.zeros(size, array.dtype), f"0: {source} has no bias", ())


def check_is_alike(recurrent: Sequence[Recurrent]) -> None:
    """Raises UserError unless all layers have one cell, size and number of directions."""
    kinds = {
        "cells": [layer.cell for layer in recurrent],
        "units": [str(layer.hidden_size) for layer in recurrent],
        "directions": [str(len(layer.directions)) for layer in recurrent],
    }
    for what, found in kinds.items():
        if len(set(found)) > 1:
            raise UserError(
                f"its recurrent layers have {what} {', '.join(found)}, from the first on; those of"
                " a network of ours are all alike"
            )


def several(sources: tuple[str, ...], array: np.ndarray, how: str) -> Part:
    """A part from several arrays."""
    return Part(np.asarray(array), f"{', '.join(sources)}: {how}", sources)
