"""How well scores rank positives before negatives: AUC, average precision, sensitivity.

All three are scikit-learn's, which is imported when the first of them is needed. Where one is
undefined, because there are no positives or no negatives, it is None, and means leave it out.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from seqvision.errors import UserError


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
        found = _metrics().roc_auc_score(self.positive, self.scores, sample_weight=self.weights)
        return float(found)

    def average_precision(self) -> float | None:
        """Sum over thresholds of precision times the growth of recall, without interpolation."""
        if not self.positive.any():
            return None
        return float(
            _metrics().average_precision_score(
                self.positive, self.scores, sample_weight=self.weights
            )
        )

    def sensitivity_at(self, specificity: float) -> float | None:
        """The highest fraction of positives found at a threshold that keeps this specificity."""
        if not self.has_both:
            return None
        false_positives, sensitivity, _ = _metrics().roc_curve(
            self.positive, self.scores, sample_weight=self.weights, drop_intermediate=False
        )
        # Rates are quotients: 1 - 0.9 is not quite 0.1.
        return float(sensitivity[false_positives <= 1 - specificity + 1e-9].max())


def _metrics() -> Any:
    try:
        import sklearn.metrics
    except ImportError:
        raise UserError(
            "metrics: scikit-learn is not installed, which seqvision needs since it was updated;"
            " install it: pip install 'scikit-learn>=1.5,<2'"
        ) from None
    return sklearn.metrics


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of those that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
