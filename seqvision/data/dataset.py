"""Labelled images, clips or lines of writing, in the splits of a run."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.data.targets import CLASSES, Targets
from seqvision.errors import UserError
from seqvision.runtime.transfer import shareable
from seqvision.shapes import HostInputs, HostLabels, HostLengths, Indices

SPLITS = ("train", "validation", "test")


class Split:
    """The examples of one split: as here in memory, or made on the devices, or streamed.

    Attributes:
      arrays: of examples in memory or made, what has to lie on the devices: a tree of arrays. None
        where the examples are streamed.
      names: the file or array that each comes from; () where that is unknown.
      groups: what each belongs to, such as a patient; () where that is unknown.
      is_streamed: whether examples are read when they are needed.
      example_bytes: of made examples that may be long, what one of them takes; else 0.
    """

    arrays: Any
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_streamed = False
    example_bytes = 0

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def num_bytes(self) -> int:
        """Size of `arrays`; of streamed examples, of their inputs as an array in memory."""
        return sum(np.asarray(array).nbytes for array in jax.tree.leaves(self.arrays))

    def fingerprint(self) -> str:
        """SHA-256 of the arrays: their shapes, then their bytes."""
        arrays = self.arrays.values()
        digest = hashlib.sha256(repr(tuple(array.shape for array in arrays)).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def read(self, indices: Indices) -> dict[str, np.ndarray]:
        """The examples with these numbers (B,), in the memory of the host; see `take`.

        Raises:
          UserError: a streamed example cannot be read (any more): one line that names it.
        """
        return jax.device_get(self.take(self.arrays, indices))

    @staticmethod
    def take(arrays: Any, indices: Any) -> dict[str, Any]:
        """The examples with these numbers (B,): a batch, as a pure function that jax can trace.

        Args:
          arrays: the split's own; of streamed examples, those that `read` returned.
          indices: numbers in the split; of streamed examples, in `arrays`.

        Returns:
          `inputs` (B, height, width, channels) or (B, T, height, width, channels) uint8, `labels`
          (B,) int32 (other targets: see `targets.Targets`) and, of clips, `lengths` (B,) int32:
          their frames, the rest being padding.
          Lines of writing: see `sources.line_images.LineSplit`.
        """
        return {name: array[indices] for name, array in arrays.items()}


@dataclasses.dataclass(frozen=True)
class ArraySplit(Split):
    """Images or clips as arrays in memory.

    Attributes:
      inputs: images (N, height, width, channels) or clips (N, T, height, width, channels), uint8.
      labels: (N,) int32, 0 to K - 1; or other targets, see `targets.Targets`.
      lengths: (N,) int32, the frames of each clip, 1 to T; frames after them are 0. None for
        images.
      names: the file or array that each comes from; () where that is unknown.
      groups: see `Split`.
    """

    inputs: HostInputs
    labels: HostLabels
    lengths: HostLengths | None = None
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            object.__setattr__(self, name, shareable(array))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {"inputs": self.inputs, "labels": self.labels}
        return arrays if self.lengths is None else arrays | {"lengths": self.lengths}

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> "ArraySplit":
        """Examples number `start` to `stop`."""
        lengths = None if self.lengths is None else self.lengths[start:stop]
        names, groups = self.names[start:stop], self.groups[start:stop]
        return ArraySplit(self.inputs[start:stop], self.labels[start:stop], lengths, names, groups)


@runtime_checkable
class Source(Protocol):
    """Labelled images or clips that can be read one by one, in any order, by many threads."""

    def __len__(self) -> int: ...

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """The examples with these numbers (B,).

        Returns:
          What `Split.take` returns of the same examples.

        Raises:
          UserError: one of them cannot be read (any more): one line that names it.
        """


@dataclasses.dataclass(frozen=True)
class StreamedSplit(Split):
    """A split of a set larger than memory: only the next batches are in memory.

    Attributes:
      source: reads its examples.
      numbers: those of its examples in the source, in the order of the split.
      input_shape: of an image or a clip, see `Dataset`.
      names: the file or array that each comes from; () where that is unknown.
      groups: see `Split`.
    """

    source: Source
    numbers: range
    input_shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    arrays = None
    is_streamed = True

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def num_bytes(self) -> int:
        return len(self) * math.prod(self.input_shape)

    def read(self, indices: Indices) -> dict[str, np.ndarray]:
        """See `Source.read`; numbers are those of the split."""
        return self.source.read(np.asarray(self.numbers.start + indices, np.int32))

    def part(self, start: int, stop: int) -> "StreamedSplit":
        """Examples number `start` to `stop`."""
        return dataclasses.replace(
            self,
            numbers=self.numbers[start:stop],
            names=self.names[start:stop],
            groups=self.groups[start:stop],
        )


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
      tones: of deep and transparent pictures, for others that are to be read alike.
      targets: what the labels are.
      frames_shape: of clips whose frames are features that a backbone computed: the `input_shape`
        of the clips themselves.
      backbone: the parameters of that backbone.
    """

    name: str
    version: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    input_shape: tuple[int, ...]
    fingerprints: Mapping[str, str]
    tones: Tones = FILE_BY_FILE
    targets: Targets = CLASSES
    frames_shape: tuple[int, ...] | None = None
    backbone: Mapping[str, Any] | None = None

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Of images or clips as they are read from files, see `input_shape`."""
        return self.frames_shape or self.input_shape

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
        return self.splits["train"].is_streamed

    def split(self, name: str) -> Split:
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
) -> dict[str, Split]:
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
