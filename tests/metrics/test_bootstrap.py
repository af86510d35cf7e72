"""Intervals of the bootstrap beside sets that are drawn example by example."""

import numpy as np
import pytest

from seqvision.metrics.bootstrap import bootstrap_intervals
from seqvision.metrics.scores import NumberScores

GROUPS = ("p1", "p1", "p2", "p3", "p3", "p3", "p4")


def scores_of(errors: np.ndarray) -> NumberScores:
    return NumberScores(np.zeros(len(errors)), errors, np.arange(len(errors)))


def test_groups_are_drawn_as_a_whole() -> None:
    errors = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    found = bootstrap_intervals(scores_of(errors), GROUPS, 200, seed=5)["mae"]
    rng = np.random.default_rng(5)
    members = [[0, 1], [2], [3, 4, 5], [6]]
    means = []
    for _ in range(200):
        chosen = [one for group in rng.integers(0, 4, 4) for one in members[group]]
        means.append(errors[chosen].mean())
    assert found == pytest.approx((np.quantile(means, 0.025), np.quantile(means, 0.975)))
    assert found == bootstrap_intervals(scores_of(errors), GROUPS, 200, seed=5)["mae"]
    assert found != bootstrap_intervals(scores_of(errors), GROUPS, 200, seed=6)["mae"]


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    errors = np.abs(np.random.default_rng(0).normal(0, 1, 400))
    low, high = bootstrap_intervals(scores_of(errors), range(400), 2000, seed=0)["mae"]
    half = 1.96 * errors.std() / 20
    assert (low, high) == pytest.approx((errors.mean() - half, errors.mean() + half), abs=0.01)
