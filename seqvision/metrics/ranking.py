"""How well scores rank positives before negatives: AUC, average precision, sensitivity.

The definitions are scikit-learn's, and tests compare the two. It is not used here: to import it
takes 0.8 s and 70 MiB in every evaluation. Where one is undefined, because there are no positives
or no negatives, it is None, and means leave it out.
"""

import dataclasses
import functools
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
        found, false = self._counts
        return float(np.trapezoid(found / found[-1], false / false[-1]))

    def average_precision(self) -> float | None:
        """Sum over thresholds of precision times the growth of recall, without interpolation."""
        if not self.positive.any():
            return None
        found, false = self._counts
        precision = found[1:] / (found[1:] + false[1:])
        return float(np.sum(precision * np.diff(found)) / found[-1])

    def sensitivity_at(self, specificity: float) -> float | None:
        """The highest fraction of positives found at a threshold that keeps this specificity."""
        if not self.has_both:
            return None
        found, false = self._counts
        # Rates are quotients: 1 - 0.9 is not quite 0.1.
        return float(found[false / false[-1] <= 1 - specificity + 1e-9].max() / found[-1])

    @functools.cached_property
    def _counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the positives and of the negatives that score at least so much.

        One of each different score, from the highest to the lowest, and 0 of a threshold above all.
        """
        scores, places = np.unique(-self.scores, return_inverse=True)
        found = np.bincount(places, self.weights * self.positive, len(scores))
        false = np.bincount(places, self.weights * ~self.positive, len(scores))
        return np.cumsum([0, *found]), np.cumsum([0, *false])


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of those that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
