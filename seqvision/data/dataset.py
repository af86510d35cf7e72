"""Labelled images in memory, cut into the splits of a run."""

import dataclasses
import hashlib

import numpy as np

from seqvision.errors import UserError
from seqvision.shapes import HostImages, HostLabels

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Split:
    """Images (B, height, width, channels) as uint8 and their labels (B,) as int32."""

    images: HostImages
    labels: HostLabels

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> "Split":
        return Split(self.images[start:stop], self.labels[start:stop])

    def fingerprint(self) -> str:
        """SHA-256 of the two arrays: their shapes, then their bytes."""
        digest = hashlib.sha256(repr((self.images.shape, self.labels.shape)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A named set of images with a `train` and a `test` split.

    `version` is the source's own, `fingerprints` the SHA-256 of each split.
    """

    name: str
    version: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    fingerprints: dict[str, str]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width, channels."""
        return tuple(self.train.images.shape[1:])

    def split(self, name: str, validation_examples: int) -> Split:
        """One of `train`, `validation`, `test`.

        Validation is the last `validation_examples` of the source's train split; train is the
        rest. The test split is the source's own.

        Raises:
          UserError: there is no such split, or it would be empty.
        """
        if name not in SPLITS:
            raise UserError(f"split '{name}' is not known; choose one of {', '.join(SPLITS)}")
        if validation_examples >= len(self.train):
            raise UserError(
                f"config.data.validation_examples: {validation_examples} leaves nothing to train"
                f" on; {self.name} has {len(self.train)} training examples"
            )
        if name == "test":
            return self.test
        boundary = len(self.train) - validation_examples
        if name == "train":
            return self.train.part(0, boundary)
        if validation_examples == 0:
            raise UserError(
                "split 'validation' is empty: config.data.validation_examples is 0; choose"
                " another split or hold out some examples"
            )
        return self.train.part(boundary, len(self.train))
