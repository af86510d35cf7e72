"""The best evaluation so far: what keeping the best checkpoint and early stopping go by."""

import dataclasses
from typing import Any


@dataclasses.dataclass
class BestEvaluation:
    """The evaluation with the highest score.

    Attributes:
      step: its step; None before the first evaluation.
      score: its score; the higher the better.
      evaluations_since: evaluations after it, none of which was better.
    """

    step: int | None = None
    score: float | None = None
    evaluations_since: int = 0

    def update(self, step: int, score: float) -> bool:
        """Takes note of an evaluation; True where it is the best so far."""
        improved = self.score is None or score > self.score
        if improved:
            self.step, self.score = step, score
        self.evaluations_since = 0 if improved else self.evaluations_since + 1
        return improved

    def is_exhausted(self, patience: int) -> bool:
        """Whether `patience` evaluations in a row were no better; never with patience 0."""
        return 0 < patience <= self.evaluations_since

    def as_facts(self) -> dict[str, Any]:
        """For `runs.checkpoint.LoopFacts`."""
        return {
            "best_step": self.step,
            "best_score": self.score,
            "evaluations_since_best": self.evaluations_since,
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "BestEvaluation":
        return cls(facts["best_step"], facts["best_score"], facts["evaluations_since_best"])
