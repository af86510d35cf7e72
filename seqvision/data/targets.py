"""Targets: what is to be predicted of each example."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

UNKNOWN = -1
"""A class or label that is not known; an unknown number is NaN. It counts nowhere."""


@dataclasses.dataclass(frozen=True)
class Targets:
    """What the labels of a set are.

    Attributes:
      kind: as `labels` of a batch,
        `class`: one class, (B,) int32, 0 to K - 1;
        `steps`: a class for every frame of a clip, (B, T) int32, UNKNOWN in the padding;
        `labels`: each of K labels or not, (B, K) int32, 1 or 0;
        `number`: one number, (B,) float32.
      offset, scale: mean and standard deviation of the training numbers: the network predicts
        (number - offset) / scale.
    """

    kind: str = "class"
    offset: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Checks the kind, which may come from a record.

        Raises:
          ValueError: there is no such kind.
        """
        if self.kind not in ("class", "steps", "labels", "number"):
            raise ValueError(f"no such kind of target: {self.kind!r}")

    @property
    def gives_classes(self) -> bool:
        """Whether one class is chosen, for an example or for a step."""
        return self.kind in ("class", "steps")

    def described(self, class_names: Sequence[str]) -> str:
        """In words: `10 classes`."""
        count = len(class_names)
        return {
            "class": f"{count} classes",
            "steps": f"a class for each frame, of {count}",
            "labels": f"{count} label{'s' if count > 1 else ''}, any of them at once",
            "number": "a number",
        }[self.kind]

    def array(self, labels: Sequence[Any], num_steps: int) -> np.ndarray:
        """The labels of some examples as one array; see `kind`.

        Args:
          labels: a number each, or (t,) of the frames of a clip, or (K,).
          num_steps: T.
        """
        if self.kind == "number":
            return np.array(labels, np.float32)
        if self.kind != "steps":
            return np.array(labels, np.int32)
        array = np.full((len(labels), num_steps), UNKNOWN, np.int32)
        for row, label in zip(array, labels, strict=True):
            row[: len(label)] = label
        return array

    def fitted(self, labels: np.ndarray) -> "Targets":
        """With the offset and scale of training numbers (N,); others as they are."""
        if self.kind != "number":
            return self
        known = labels[np.isfinite(labels)].astype(np.float64)
        return dataclasses.replace(self, offset=float(known.mean()), scale=float(known.std()))


CLASSES = Targets()


def known(labels: np.ndarray) -> np.ndarray:
    """Which of the labels of any kind are known: bool of their shape."""
    return np.isfinite(labels) if labels.dtype.kind == "f" else labels != UNKNOWN
