"""Search spaces: the runs they describe, and the mistakes they refuse."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqvision.sweeps.search_space import (
    grid,
    integers,
    log_uniform,
    product,
    sample,
    uniform,
    zipped,
)


def test_a_grid_by_hand() -> None:
    assert grid({"a.x": [1, 2], "b": ["u", "v"]}) == [
        {"a.x": 1, "b": "u"},
        {"a.x": 1, "b": "v"},
        {"a.x": 2, "b": "u"},
        {"a.x": 2, "b": "v"},
    ]
    assert grid({"seed": range(2)}) == [{"seed": 0}, {"seed": 1}]


def test_zipped_by_hand() -> None:
    assert zipped({"a": [1, 2], "b": [8, 9]}) == [{"a": 1, "b": 8}, {"a": 2, "b": 9}]


def test_a_product_by_hand() -> None:
    pairs = zipped({"a": [1, 2], "b": [8, 9]})
    assert product(pairs, grid({"c": [5, 6]})) == [
        {"a": 1, "b": 8, "c": 5},
        {"a": 1, "b": 8, "c": 6},
        {"a": 2, "b": 9, "c": 5},
        {"a": 2, "b": 9, "c": 6},
    ]


def test_a_sample_by_hand() -> None:
    """From Python's own generator, seeded with the seed and the name of the field."""
    place = random.Random("3 a").random()
    (run,) = sample(seed=3, n=1, space={"a": uniform(10.0, 20.0)})
    assert run == {"a": pytest.approx(10 + 10 * place, rel=1e-3)}
    (run,) = sample(seed=3, n=1, space={"a": log_uniform(1e-4, 1e-2)})
    assert math.log10(run["a"]) == pytest.approx(-4 + 2 * place, abs=1e-3)
    assert float(f"{run['a']:.3e}") == run["a"]  # Four digits.


def test_a_longer_sample_begins_with_the_shorter_one() -> None:
    space = {"a": log_uniform(1e-4, 1e-2), "b": ["x", "y"], "c": integers(1, 3)}
    assert sample(0, 12, space)[:5] == sample(0, 5, space)
    assert sample(0, 12, space) != sample(1, 12, space)
    alone = sample(0, 5, {"a": space["a"]})
    assert [run["a"] for run in alone] == [run["a"] for run in sample(0, 5, space)]


def test_a_sample_covers_its_space() -> None:
    runs = sample(0, 400, {"a": log_uniform(1e-4, 1e-2), "b": uniform(0.0, 1.0)})
    assert np.mean([run["a"] < 1e-3 for run in runs]) == pytest.approx(0.5, abs=0.1)
    assert all(1e-4 <= run["a"] <= 1e-2 and 0 <= run["b"] <= 1 for run in runs)
    small = sample(0, 6, {"n": integers(1, 3), "cell": ["lstm", "gru"]})
    assert sorted((run["n"], run["cell"]) for run in small) == [
        (n, cell) for n in (1, 2, 3) for cell in ("gru", "lstm")
    ]


@pytest.mark.parametrize(
    ("describe", "message"),
    [
        (lambda: grid({"a": "lstm"}), "'lstm' is one value"),
        (lambda: grid({"a": []}), "a: no values"),
        (lambda: zipped({"a": [1, 2], "b": [1]}), "not a 2, b 1"),
        (lambda: product(grid({"a": [1]}), grid({"a": [2]})), "a is in two of its sweeps"),
        (lambda: sample(0, 3, {"a": [1, 2]}), "3 different runs asked for, but only 2"),
        (lambda: sample(0, 3, {"a": []}), "a: no values"),
        (lambda: uniform(1.0, 1.0), "1.0 is not below 1.0"),
        (lambda: log_uniform(0.0, 1.0), "0.0 has no logarithm"),
    ],
)
def test_descriptions_that_mean_nothing(describe: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe()
