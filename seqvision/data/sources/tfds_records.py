"""Examples of a prepared TFDS set, decoded when they are needed."""

import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seqvision.data.files.paths import shown
from seqvision.data.files.pixels import fit
from seqvision.errors import UserError, first_line
from seqvision.shapes import Indices


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """See `dataset.Source`.

    Attributes:
      records: TFDS's source of random access, of images that are not decoded.
      prepared: the folder of the prepared set.
      image_shape: height, width and channels as TFDS has them.
      read_shape: what they are scaled to.
      num_classes: of labels from 0 on.
      first_label: TFDS's number of the first class.
      on_its_side: rows and columns are to be exchanged, once the images are scaled.
    """

    records: Any
    prepared: Path
    image_shape: tuple[int, int, int]
    read_shape: tuple[int, int, int]
    num_classes: int
    first_label: int = 0
    on_its_side: bool = False

    def __len__(self) -> int:
        return len(self.records)

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """See `dataset.Source.read`."""
        try:
            examples = self.records.__getitems__(numbers.tolist())
            images = np.stack(
                [scaled(e["image"], self.image_shape, self.read_shape) for e in examples]
            )
            labels = np.array([example["label"] for example in examples], np.int32)
        except (MemoryError, UserError):
            raise
        except Exception as error:  # array_record, Pillow and TFDS each raise their own.
            raise UserError(
                f"{shown(self.prepared)}: cannot be read ({first_line(error)}); bring it back or"
                " prepare it again, then run the same command again: training goes on from its last"
                " checkpoint"
            ) from error
        labels -= np.int32(self.first_label)
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise UserError(f"{shown(self.prepared)}: an example has no label; choose another set")
        return {"inputs": images.swapaxes(1, 2) if self.on_its_side else images, "labels": labels}


def scaled(
    image: Any, image_shape: tuple[int, int, int], read_shape: tuple[int, ...]
) -> np.ndarray:
    """An image as TFDS has it, decoded or not, in the size that is asked for."""
    if isinstance(image, bytes):
        with Image.open(io.BytesIO(image)) as opened:
            image = np.asarray(opened)
    return fit(np.reshape(image, image_shape)[None], *read_shape)[0]


def shards_digest(prepared: Path) -> str:
    """SHA-256 of the names and sizes of the files of a prepared set."""
    files = [(path.name, path.stat().st_size) for path in prepared.iterdir() if path.is_file()]
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()
