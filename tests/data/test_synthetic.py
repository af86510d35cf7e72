"""Clips and lines of digits: functions of a seed, a split and a number, from the split's digits."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from seqvision.data.dataset import Dataset
from seqvision.data.synthetic.digit_lines import digit_lines
from seqvision.data.synthetic.moving_digits import moving_digits
from tests.conftest import optimized
from tests.data import soft_digits as lines
from tests.data import test_moving_digits as clips
from tests.data.making import grey_source

Example = dict[str, np.ndarray]
SplitOf = Callable[..., Any]
ALL = list(range(8))
CLIPS, LINES = partial(clips.split_of, clips.RICH), partial(lines.split_of, lines.HARD)
# Where digits are hidden it takes long to optimize.
OPTIMIZED = partial(clips.split_of, dataclasses.replace(clips.RICH, occlusion=0.0))


def taker(split: Any) -> Callable[..., Any]:
    return clips.take if isinstance(split, clips.MovingDigitsSplit) else lines.take


def made(split: Any, number: int = 8) -> Example:
    indices = np.arange(number, dtype=np.int32)
    return jax.tree.map(np.asarray, taker(split)(split.arrays, indices))


def assert_same(found: Any, expected: Example, order: list[int]) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), array[order], err_msg=name)


both = pytest.mark.parametrize("split_of", [CLIPS, LINES], ids=["clips", "lines"])


@both
def test_they_are_the_same_in_any_order_and_on_another_device(split_of: SplitOf) -> None:
    split, other = split_of(), jax.devices()[1]
    expected, order = made(split), [6, 5, 4, 3, 2, 1, 0, 7]
    assert_same(taker(split)(split.arrays, np.array(order, np.int32)), expected, order)
    arrays, indices = jax.device_put((split.arrays, np.arange(8, dtype=np.int32)), other)
    found = taker(split)(arrays, indices)
    assert found["inputs"].devices() == {other}
    assert_same(found, expected, ALL)


@pytest.mark.parametrize("split_of", [OPTIMIZED, LINES], ids=["clips", "lines"])
def test_they_are_the_same_in_another_batch_with_all_optimizations(split_of: SplitOf) -> None:
    split = split_of()
    expected = made(split)
    with optimized():
        found = jax.jit(split.take)(split.arrays, np.array([4, 4, 0], np.int32))
    assert_same(found, expected, [4, 4, 0])


@both
def test_splits_share_one_program(split_of: SplitOf) -> None:
    split, indices = split_of(split="validation"), np.arange(8, dtype=np.int32)
    compiled = jax.jit(split.take).lower(split.arrays, indices).compile()
    for name in ("train", "validation", "test"):
        split = split_of(seed=3, split=name)
        assert_same(compiled(split.arrays, indices), made(split), ALL)


@both
def test_seed_split_and_index_make_other_ones(split_of: SplitOf) -> None:
    splits = [split_of(), split_of(seed=1), split_of(split="test")]
    inputs = np.concatenate([made(split)["inputs"] for split in splits])
    assert len(np.unique(inputs.reshape(24, -1), axis=0)) == 24


@pytest.mark.parametrize(
    "make",
    [
        partial(moving_digits, clips.MOTION),
        partial(digit_lines, dict.fromkeys(("train", "test"), (lines.CLEAN,))),
    ],
    ids=["clips", "lines"],
)
def test_splits_show_their_own_digits(make: Callable[..., Dataset]) -> None:
    bright, dim = (np.full((3, 12, 12, 1), level, np.uint8) for level in (255, 100))
    dataset = make(grey_source(bright, dim), 0, {"train": 200, "test": 200})
    for name, level in (("train", 255), ("test", 100)):
        inputs = made(dataset.splits[name], 200)["inputs"]
        assert (inputs.reshape(200, -1).max(axis=1) == level).all()
