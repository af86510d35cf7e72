"""Beliefs step by step: where the network became sure, and accuracy against what was seen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqvision.inference.decision_curve import Beliefs, curve_of

SURE = 0.9


class StepAccuracy(NamedTuple):
    """Accuracy after each step, over the examples that have so many.

    Attributes:
      accuracy: float64 (T,).
      counts: int (T,), how many examples have that step.
    """

    accuracy: np.ndarray
    counts: np.ndarray


def step_accuracy(beliefs: Beliefs) -> StepAccuracy:
    """The accuracy if every example ended after step 1, 2, ..."""
    steps = np.arange(beliefs.correct.shape[1])
    counts = (steps < beliefs.lengths[:, None]).sum(axis=0)
    return StepAccuracy(beliefs.correct.sum(axis=0) / np.maximum(counts, 1), counts)


def decided_when_sure(beliefs: Beliefs) -> list[tuple[float, float]]:
    """What is seen (a fraction, on average) and accuracy, for each threshold of probability."""
    points = {(point.seen, point.accuracy) for point in curve_of(beliefs, "probability", 0).points}
    return sorted(points)


def seen_words(found: StepAccuracy, step_name: str) -> str:
    """The curve of `step_accuracy` as a sentence."""
    last, steps = float(found.accuracy[-1]), len(found.accuracy)
    half = max(1, steps // 2)
    near = np.flatnonzero(np.abs(found.accuracy - last) > 0.01)
    enough = int(near[-1]) + 2 if len(near) else 1
    words = f"With all {steps} {step_name} {last:.2%} are right."
    if steps > 1:
        words += f" With the first {half}, it is {found.accuracy[half - 1]:.2%};"
        words += f" from {step_name.removesuffix('s')} {enough} on within a point of that."
    return words


def sureness_words(probabilities: np.ndarray, names: Sequence[str], step_name: str) -> str:
    """Where the network became sure of an example.

    Args:
      probabilities: (T, K), its belief after each step.
      names: of the K classes.
      step_name: what a step is: rows, columns, pixels or frames.
    """
    step, winners = step_name.removesuffix("s"), probabilities.argmax(axis=-1)
    final, steps = int(winners[-1]), len(winners)
    others = np.flatnonzero(winners != final)
    words = f"It said {names[final]} from the first {step} on."
    if len(others):
        place = int(others[-1])
        before = names[int(winners[place])]
        words = f"It last changed its mind in {step} {place + 2} of {steps}, from {before}"
        words += f" to {names[final]}."
    unsure = np.flatnonzero(probabilities[:, final] < SURE)
    if not len(unsure):
        return f"{words} It was sure (at least {SURE:.0%}) all the time."
    if unsure[-1] == steps - 1:
        return f"{words} It was not sure (at least {SURE:.0%}) in the end."
    return f"{words} It was sure (at least {SURE:.0%}) from {step} {int(unsure[-1]) + 2} on."
