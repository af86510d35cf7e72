"""The rule by which a class is decided on before all has been seen."""

import dataclasses
from typing import Any

import numpy as np

from seqvision.errors import UserError

MEASURES = ("probability", "margin")


@dataclasses.dataclass(frozen=True)
class DecisionRule:
    """Decide when sure: at the first step where a measure of the belief reaches a threshold.

    Attributes:
      measure: `probability`, the highest one p1; or `margin`, p1 - p2, how much more probable the
        first class is than the second.
      threshold: above 0, at most 1.
    """

    measure: str
    threshold: float

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
          UserError: no such measure, or no such threshold.
        """
        check_measure(self.measure)
        if not 0 < self.threshold <= 1:
            raise UserError(
                f"decision rule {self}: the threshold must be above 0 and at most 1; such as"
                f" {self.measure}:0.95"
            )

    def __str__(self) -> str:
        return f"{self.measure}:{self.threshold:g}"

    @classmethod
    def of(cls, rule: Any) -> "DecisionRule | None":
        """A rule itself, or what a text such as `probability:0.95` stands for; None stays None.

        Raises:
          UserError: it is none of these.
        """
        if rule is None or isinstance(rule, DecisionRule):
            return rule
        measure, _, threshold = rule.partition(":") if isinstance(rule, str) else ("", "", "")
        try:
            return cls(measure, float(threshold))
        except ValueError:
            raise UserError(
                f"decision rule {rule!r} is not understood; write {' or '.join(MEASURES)}, a colon"
                " and a threshold, such as probability:0.95"
            ) from None

    def holds(self, probabilities: np.ndarray) -> np.ndarray:
        """Whether beliefs (..., K) are sure enough, (...) bool."""
        return measured(self.measure, probabilities) >= np.float32(self.threshold)


def measured(measure: str, probabilities: np.ndarray) -> np.ndarray:
    """How sure beliefs are: float32 (...,) of probabilities (..., K)."""
    if measure == "probability" or probabilities.shape[-1] == 1:
        return probabilities.max(axis=-1)
    second, first = np.moveaxis(np.partition(probabilities, -2, axis=-1)[..., -2:], -1, 0)
    return first - second


def check_measure(measure: str) -> None:
    """Raises UserError where there is no such measure."""
    if measure not in MEASURES:
        raise UserError(f"decision rule: '{measure}' is not known; choose {' or '.join(MEASURES)}")
