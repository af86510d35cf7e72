"""Labelled images or clips, in the splits of a run."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from seqvision.data.streamed import StreamedSplit
from seqvision.errors import UserError
from seqvision.shapes import HostInputs, HostLabels, HostLengths

SPLITS = ("train", "validation", "test")


@runtime_checkable
class Split(Protocol):
    """The examples of one split, to be taken by their numbers on the devices.

    Attributes:
      arrays: what has to lie on the devices, a tree of arrays.
    """

    @property
    def arrays(self) -> Any: ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str:
        """SHA-256 of all that the examples are made of."""

    @staticmethod
    def take(arrays: Any, indices: Any) -> dict[str, Any]:
        """The examples with these numbers (B,): a batch, as a pure function that jax can trace.

        Returns:
          `inputs` (B, height, width, channels) or (B, T, height, width, channels) uint8, `labels`
          (B,) int32 and, of clips, `lengths` (B,) int32: their frames, the rest being padding.
        """


AnySplit: TypeAlias = Split | StreamedSplit
"""Examples that can lie on the devices, or that are too many for it."""


@dataclasses.dataclass(frozen=True)
class ArraySplit:
    """A split that is there as arrays in memory.

    Attributes:
      inputs: images (N, height, width, channels) or clips (N, T, height, width, channels), uint8.
      labels: (N,) int32, 0 to K - 1.
      lengths: (N,) int32, the frames of each clip, 1 to T; frames after them are 0. None for
        images.
      names: the file or array that each comes from; () where nobody knows.
    """

    inputs: HostInputs
    labels: HostLabels
    lengths: HostLengths | None = None
    names: tuple[str, ...] = ()

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {"inputs": self.inputs, "labels": self.labels}
        return arrays if self.lengths is None else arrays | {"lengths": self.lengths}

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def take(arrays: Any, indices: Any) -> dict[str, Any]:
        return {name: array[indices] for name, array in arrays.items()}

    def part(self, start: int, stop: int) -> "ArraySplit":
        """Examples number `start` to `stop`."""
        lengths = None if self.lengths is None else self.lengths[start:stop]
        names = self.names[start:stop]
        return ArraySplit(self.inputs[start:stop], self.labels[start:stop], lengths, names)

    def fingerprint(self) -> str:
        """SHA-256 of the arrays: their shapes, then their bytes."""
        arrays = list(self.arrays.values())
        digest = hashlib.sha256(repr(tuple(array.shape for array in arrays)).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A named set of images or clips.

    Attributes:
      name, version: the source's own.
      class_names: one for each label.
      splits: `train`, and `validation` and `test` where there are such.
      input_shape: (height, width, channels) of images, (T, height, width, channels) of clips.
      fingerprints: the SHA-256 of what the source supplied, by its own splits; of streamed ones, of
        what stands for it, by its name.
    """

    name: str
    version: str
    class_names: tuple[str, ...]
    splits: Mapping[str, AnySplit]
    input_shape: tuple[int, ...]
    fingerprints: Mapping[str, str]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name}/{self.version}"

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def of_clips(self) -> bool:
        return len(self.input_shape) == 4

    @property
    def is_streamed(self) -> bool:
        """Whether its examples are read when they are needed."""
        return isinstance(self.splits["train"], StreamedSplit)

    def split(self, name: str) -> AnySplit:
        """One of `train`, `validation`, `test`.

        Raises:
          UserError: there is no such split.
        """
        if name not in self.splits:
            raise UserError(
                f"split '{name}': {self.name} has {', '.join(self.splits)}; choose one of these, or"
                " hold out some examples (config.data.validation_examples,"
                " config.data.validation_fraction, config.data.test_fraction) or make some"
                f" (config.clips.{name}_clips, config.lines.{name}_lines)"
            )
        return self.splits[name]


def hold_out_validation(
    train: ArraySplit | StreamedSplit, validation_examples: int, name: str
) -> dict[str, AnySplit]:
    """Cuts the last `validation_examples` off the source's train split.

    Raises:
      UserError: nothing would be left to train on.
    """
    if validation_examples >= len(train):
        raise UserError(
            f"config.data.validation_examples: {validation_examples} leaves nothing to train"
            f" on; {name} has {len(train)} training examples"
        )
    if validation_examples == 0:
        return {"train": train}
    boundary = len(train) - validation_examples
    return {"train": train.part(0, boundary), "validation": train.part(boundary, len(train))}
