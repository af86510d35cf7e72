"""Confidence intervals by the bootstrap: groups of examples are drawn again, with replacement."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from seqvision.metrics.scores import Scores

LEVEL = 0.95
Interval = tuple[float, float]


def bootstrap_intervals(
    scores: Scores,
    groups: Sequence[Any],
    num_samples: int,
    seed: int,
    over: Callable[[Iterable[int]], Iterable[int]] = lambda numbers: numbers,
) -> dict[str, Interval]:
    """The interval of each metric that holds 95 % of what drawn sets give (percentiles).

    A sample draws as many groups as there are, each as often as chance will have it; all rows of a
    group count as often. A sample in which a metric is undefined, for want of a class, is left out
    of the interval of that metric.

    Args:
      scores: what was predicted.
      groups: of each example, such as its patient; equal ones are drawn together.
      num_samples: how many sets are drawn.
      seed: of which the draws are a function.
      over: goes through the numbers of the samples, and may show how far it is.
    """
    known = sorted({*scores.units.tolist()})
    numbers = {group: n for n, group in enumerate(dict.fromkeys(groups[one] for one in known))}
    group_of_row = np.array([numbers[groups[one]] for one in scores.units.tolist()], np.int64)
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in over(range(num_samples)):
        drawn = rng.integers(0, len(numbers), len(numbers))
        counts = np.bincount(drawn, minlength=len(numbers)).astype(np.float64)
        for name, value in scores.values(counts[group_of_row]).items():
            if value is not None:
                found.setdefault(name, []).append(value)
    tail = (1 - LEVEL) / 2
    return {
        name: (float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail)))
        for name, values in found.items()
    }
