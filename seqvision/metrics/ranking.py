"""How well scores rank positives before negatives: AUC, average precision, sensitivity.

All three are read off one curve: the weight of the positives and of the negatives above each
threshold, where equal scores share one. Where a metric is undefined, because there are no positives
or no negatives, it is None, and means leave it out. Tests compare all three with scikit-learn.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Scores of M examples, of which some are positive.

    Attributes:
      positive: bool (M,).
      scores: float (M,), the higher the more likely positive.
      weights: float (M,), how often each counts; those of 0 are left out.
    """

    positive: np.ndarray
    scores: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
    ) -> "Ranking":
        """The examples that count; all of them, once, by default."""
        if weights is None:
            return cls(positive, scores, np.ones(len(positive)))
        kept = weights > 0
        return cls(positive[kept], scores[kept], weights[kept])

    @property
    def has_both(self) -> bool:
        """Whether there are positives and negatives."""
        return bool(self.positive.any()) and not bool(self.positive.all())

    def auc(self) -> float | None:
        """Area under the ROC curve: how often a positive scores above a negative, ties half."""
        if not self.has_both:
            return None
        found, others = self._curve()
        return float(np.trapezoid(found, others) / (found[-1] * others[-1]))

    def average_precision(self) -> float | None:
        """Sum over thresholds of precision times the growth of recall, without interpolation."""
        if not self.positive.any():
            return None
        found, others = self._curve()
        precision = found[1:] / (found[1:] + others[1:])
        return float(np.sum(np.diff(found) * precision) / found[-1])

    def sensitivity_at(self, specificity: float) -> float | None:
        """The highest fraction of positives found at a threshold that keeps this specificity."""
        if not self.has_both:
            return None
        found, others = self._curve()
        # Rates are quotients: 1 - 0.9 is not quite 0.1.
        kept = others / others[-1] <= 1 - specificity + 1e-9
        return float(found[kept].max() / found[-1])

    def _curve(self) -> tuple[np.ndarray, np.ndarray]:
        """The weight of positives and of negatives above each threshold; first 0 and 0."""
        order = np.argsort(self.scores)[::-1]
        scores = self.scores[order]
        ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(order) - 1)
        weights, positive = self.weights[order], self.positive[order]
        sums = (np.cumsum(np.where(own, weights, 0.0))[ends] for own in (positive, ~positive))
        found, others = (np.append(0.0, one) for one in sums)
        return found, others


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of those that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
