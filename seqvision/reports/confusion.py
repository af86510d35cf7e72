"""Confusions of classes: the matrix, and the commonest in words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Confusion(NamedTuple):
    """One kind of mistake.

    Attributes:
      truth, predicted: class numbers.
      times: how often.
      total: examples of the class `truth`.
    """

    truth: int
    predicted: int
    times: int
    total: int


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """How many examples of each class (rows) were predicted as each (columns): (K, K) int."""
    places = np.asarray(labels, np.int64) * num_classes + predicted
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def commonest(matrix: np.ndarray, count: int = 3) -> list[Confusion]:
    """The most frequent mistakes, the most frequent first; of equals that of the first class."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [divmod(int(place), len(matrix)) for place in order]
    return [
        Confusion(truth, predicted, int(wrong[truth, predicted]), int(matrix[truth].sum()))
        for truth, predicted in pairs
        if wrong[truth, predicted]
    ]


def confusion_words(confusion: Confusion, names: Sequence[str]) -> str:
    """A mistake as a sentence."""
    truth, predicted, times, total = confusion
    return (
        f"{names[truth]} was taken for {names[predicted]}: {times:,} of {total:,} times"
        f" ({times / total:.1%})."
    )
