"""Mean, standard deviation and per-seed values of metrics."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from seqvision.tasks.base import Metrics


@dataclasses.dataclass(frozen=True)
class SeedMetrics:
    """The metrics of each seed, from the first on."""

    each: tuple[Metrics, ...]

    @property
    def score(self) -> float:
        """What decides which weights are the best: the mean over the seeds."""
        return statistics.fmean(metrics.score for metrics in self.each)

    def row(self) -> dict[str, Any]:
        """What is recorded."""
        return row_of_seeds([metrics.row() for metrics in self.each])


def row_of_seeds(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The rows of two or more seeds as one.

    Returns:
      Under each name the mean; under `std` the standard deviations (n - 1) by name; under `each`
      the values themselves, in lists. `count` is that of a single seed, the same for all. A figure
      that one of the seeds lacks is left out. What is not finite has the standard deviation NaN.
    """
    names = [name for name in rows[0] if all(name in row for row in rows)]
    each = {name: [row[name] for row in rows] for name in names if name != "count"}
    means = {
        name: statistics.fmean(each[name]) if name in each else rows[0][name] for name in names
    }
    std = {name: _stdev(values) for name, values in each.items()}
    return means | {"std": std, "each": each}


def _stdev(values: Sequence[float]) -> float:
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
