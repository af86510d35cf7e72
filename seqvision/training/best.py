"""The evaluations of a training: what keeping the best checkpoint and early stopping go by."""

import dataclasses


@dataclasses.dataclass
class Evaluations:
    """The best evaluation so far; saved in every checkpoint.

    Attributes:
      best_step: its step; None before the first evaluation.
      best_score: its score; the higher the better.
      evaluations_since_best: evaluations after it, none of which was better.
    """

    best_step: int | None = None
    best_score: float | None = None
    evaluations_since_best: int = 0

    def update(self, step: int, score: float) -> bool:
        """Takes note of an evaluation; True where it is the best so far."""
        improved = self.best_score is None or score > self.best_score
        if improved:
            self.best_step, self.best_score = step, score
        self.evaluations_since_best = 0 if improved else self.evaluations_since_best + 1
        return improved

    def is_exhausted(self, patience: int) -> bool:
        """Whether `patience` evaluations in a row were no better; never with patience 0."""
        return 0 < patience <= self.evaluations_since_best
