"""The commonest confusions of classes, in words."""

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


def commonest(matrix: np.ndarray, count: int = 3) -> list[Confusion]:
    """The most frequent mistakes, the most frequent first; of equals that of the first class.

    Args:
      matrix: (K, K), see `metrics.confusion.confusion_matrix`.
      count: how many at most.
    """
    wrong = matrix * (1 - np.eye(len(matrix)))
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
        f" ({times / total:.2%})."
    )
