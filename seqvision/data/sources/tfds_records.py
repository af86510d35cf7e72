"""Examples of a prepared TFDS set, decoded into arrays."""

import dataclasses
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seqvision.data.dataset import ArraySplit
from seqvision.data.files.paths import shown
from seqvision.data.files.pixels import fit
from seqvision.errors import UserError, first_line
from seqvision.shapes import HostLabels, Indices


@dataclasses.dataclass(frozen=True)
class ImageFormat:
    """How TFDS has the examples of a set, and what is made of them.

    Attributes:
      image_shape: height, width and channels as TFDS has them.
      read_shape: what they are scaled to.
      class_names: of the labels from 0 on.
      first_label: TFDS's number of the first class.
      on_its_side: rows and columns are to be exchanged, once the images are scaled.
    """

    image_shape: tuple[int, int, int]
    read_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    first_label: int = 0
    on_its_side: bool = False

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the arrays."""
        height, width, channels = self.read_shape
        return (width, height, channels) if self.on_its_side else self.read_shape

    def decoded(self, examples: Iterable[Any], num_examples: int) -> ArraySplit:
        """Examples as TFDS has them, their images decoded or not.

        Raises:
          ValueError: they are fewer than `num_examples`.
        """
        images = np.empty((num_examples, *self.read_shape), np.uint8)
        labels = np.empty(num_examples, np.int32)
        index = -1
        for index, example in enumerate(examples):
            image = example["image"]
            if isinstance(image, bytes):
                with Image.open(io.BytesIO(image)) as opened:
                    image = np.asarray(opened)
            images[index] = fit(np.reshape(image, self.image_shape)[None], *self.read_shape)[0]
            labels[index] = example["label"]
        if index + 1 != num_examples:
            raise ValueError(f"{index + 1} examples where {num_examples} belong")
        labels -= np.int32(self.first_label)
        return ArraySplit(images.swapaxes(1, 2).copy() if self.on_its_side else images, labels)

    def names(self, labels: HostLabels) -> bool:
        """Whether all labels have a class: TFDS gives -1 to examples without one."""
        return bool(labels.min() >= 0 and labels.max() < len(self.class_names))


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """See `dataset.Source`.

    Attributes:
      records: TFDS's source of random access, of images that are not decoded.
      prepared: the folder of the prepared set.
      format: of its examples.
    """

    records: Any
    prepared: Path
    format: ImageFormat

    def __len__(self) -> int:
        return len(self.records)

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """See `dataset.Source.read`."""
        try:
            examples = self.records.__getitems__(numbers.tolist())
            split = self.format.decoded(examples, len(numbers))
        except (MemoryError, UserError):
            raise
        except Exception as error:  # array_record, Pillow and TFDS each raise their own.
            raise UserError(
                f"{shown(self.prepared)}: cannot be read ({first_line(error)}); bring it back or"
                " prepare it again, then run the same command again: training goes on from its last"
                " checkpoint"
            ) from error
        if not self.format.names(split.labels):
            raise UserError(f"{shown(self.prepared)}: an example has no label; choose another set")
        return split.arrays


def shards_digest(prepared: Path) -> str:
    """SHA-256 of the names and sizes of the files of a prepared set."""
    files = [(path.name, path.stat().st_size) for path in prepared.iterdir() if path.is_file()]
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()
