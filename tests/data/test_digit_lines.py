"""Lines of digits: what is said to be written is found again in the pixels, by numpy."""

import dataclasses
import hashlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from seqvision.data.dataset import Dataset
from seqvision.data.synthetic.digit_lines import DigitLinesSplit, digit_lines
from seqvision.data.synthetic.line_recipe import LEVELS
from tests.data.making import grey_source, says
from tests.data.soft_digits import (
    CLEAN,
    DIGITS,
    HARD,
    HEIGHT,
    LABELS,
    SPACE,
    Batch,
    each,
    lines_of,
    split_of,
)

# Wide enough for all that is drawn.
WIDE = dataclasses.replace(CLEAN, width=800)
OVERLAPPING = dataclasses.replace(WIDE, gap=(-20, -1))


@cache
def wide_lines() -> Batch:
    return lines_of(split_of(WIDE), 800)


@cache
def overlapping_lines() -> Batch:
    return lines_of(split_of(OVERLAPPING), 300)


def own_columns(label: int) -> np.ndarray:
    """The columns with ink of a digit, in the rows where the lines have it."""
    image = DIGITS[label - 1, ..., 0]
    inked = np.flatnonzero((image >= 32).any(axis=0))
    bottom = np.flatnonzero(image.any(axis=1))[-1] + 1
    tallest = max(np.ptp(np.flatnonzero(digit.any(axis=(1, 2)))) + 1 for digit in DIGITS)
    rows = np.zeros((HEIGHT, len(inked)), np.uint8)
    foot = (HEIGHT + tallest) // 2
    rows[foot - bottom : foot] = image[:bottom, inked[0] : inked[-1] + 1]
    return rows


# They may not change: others compare their figures on these lines.
CHECKSUMS = {
    "clean": "32be9b13714cde2aa318390a4da3241fc50599d40718bca00a8a5cc4994a2074",
    "natural": "3dadc44778d1dc98dff9adbde9be234b2adbb21b8d330d3ff3c08be8639f342e",
    "hard": "3be795e6c714355796ab55d075bad205ee4b30caee6735bbc90911a99faa676e",
}


@pytest.mark.parametrize("level", LEVELS)
def test_the_levels_stay_as_they_are(mnist: Dataset, level: str) -> None:
    recipes = dict.fromkeys(("train", "test"), (LEVELS[level],))
    dataset = digit_lines(recipes, mnist, 7, {"test": 10})
    lines = lines_of(dataset.splits["test"], 10)
    digest = hashlib.sha256()
    for name in ("inputs", "lengths", "labels", "label_lengths", "starts", "ends"):
        digest.update(lines[name].astype("<i4").tobytes())
    assert digest.hexdigest() == CHECKSUMS[level]


# --- the data set ---


RECIPES = {"train": (HARD,), "validation": (CLEAN,), "test": (CLEAN,)}
LINES = {"train": 1, "test": 1}


def test_symbols_without_ink_are_passed_over() -> None:
    blank = np.stack([DIGITS[0], 0 * DIGITS[0], DIGITS[2]])
    lines = digit_lines(RECIPES, grey_source(blank, DIGITS), 0, {"train": 100}).splits["train"]
    assert set(np.unique(lines_of(lines, 100)["labels"])) == {0, 1, 3, SPACE}


def test_tall_symbols_are_scaled_like_the_digits_of_mnist() -> None:
    """A symbol of 24 rows becomes one of 20 or fewer, and those of 12 rows as much smaller."""
    train, test = (np.zeros((3, 28, 28, 1), np.uint8) for _ in range(2))
    train[:, 2:26, 10:16], test[:, 8:20, 10:16] = 200, 200
    dataset = digit_lines(dict.fromkeys(RECIPES, (CLEAN,)), grey_source(train, test), 0, LINES)
    train_rows, test_rows = (
        (lines_of(dataset.splits[name], 1)["inputs"][0, ..., 0] >= 100).any(axis=1).sum()
        for name in ("train", "test")
    )
    assert 18 <= train_rows <= 20
    assert abs(test_rows - train_rows / 2) <= 1


def test_dataset_tells_what_its_lines_are() -> None:
    source = grey_source(DIGITS, DIGITS)
    dataset = digit_lines(RECIPES, source, 5, {"train": 7, "validation": 5, "test": 3})
    assert dataset.class_names == ("0", "1", "2", " ")
    assert dataset.input_shape == (32, 400, 1)
    assert not dataset.of_clips
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 7, "test": 3}
    assert digit_lines(RECIPES, source, 0, {"train": 0, "test": 3}).splits.keys() == {"test"}
    # The test lines are the same whatever the seed; the training lines are not.
    others = digit_lines(RECIPES, source, 6, {"train": 7, "test": 3}).splits
    assert dataset.splits["test"].fingerprint() == others["test"].fingerprint()
    changed = [split_of(CLEAN), split_of(HARD), split_of(CLEAN, 255 - DIGITS)]
    changed += [split_of(CLEAN, seed=1), split_of(CLEAN, split="test"), *others.values()]
    changed.append(dataset.splits["train"])
    assert len({split.fingerprint() for split in changed}) == len(changed)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (grey_source(np.repeat(DIGITS, 3, -1), DIGITS), "of grey images, and digits has 20x20x3"),
        (grey_source(DIGITS, DIGITS, ("0", "1", "two")), "0, 1, two"),
        (grey_source(DIGITS, DIGITS, "01 "), "there twice"),
    ],
)
def test_sources_that_make_no_lines(source: Dataset, message: str) -> None:
    says(lambda: digit_lines(RECIPES, source, 0, {"train": 1}), message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"height": 12}, "config.lines.level: its lines of 12 rows cannot hold symbols of up to"),
        ({"width": 17}, "config.lines.width, train_width: 17 columns cannot hold one symbol"),
        ({"min_symbols": 0}, "recipe.min_symbols: 0 is not from 1"),
        ({"min_symbols": 21}, "recipe.min_symbols: 21 is not from 1"),
        ({"spaces": 1.5}, "recipe.spaces: 1.5 is no probability"),
        ({"gap": (3, 2)}, "recipe.gap: (3, 2) ends before it begins"),
        ({"word_gap": (5, 9)}, "recipe.word_gap: (5, 9) has spaces no wider than"),
        ({"margin": (-1, 2)}, "recipe.margin: (-1, 2) begins below 0"),
        ({"scale": (0.2, 1.0)}, "recipe.scale: (0.2, 1.0) begins below 0.25"),
        ({"thickness": (-1.0, 0.0)}, "recipe.thickness: (-1.0, 0.0) is not above -1"),
        ({"noise": (-0.1, 0.1)}, "recipe.noise: (-0.1, 0.1) begins below 0"),
    ],
)
def test_recipes_that_make_no_lines(fields: dict[str, Any], message: str) -> None:
    assert says(lambda: split_of(dataclasses.replace(CLEAN, **fields))).startswith(message)


def test_two_recipes_take_turns() -> None:
    """Each line is what its own recipe makes of its number."""
    both = DigitLinesSplit((HARD, CLEAN), DIGITS, LABELS, SPACE - 1, 0, "train", 5000)
    lines = lines_of(both, 4)
    for number, recipe in enumerate((HARD, CLEAN, HARD, CLEAN)):
        alone = lines_of(split_of(recipe), 8)
        for name, array in lines.items():
            np.testing.assert_array_equal(array[number], alone[name][number])


# --- what is written, and where ---


@pytest.mark.parametrize("lines", [wide_lines, overlapping_lines])
def test_digits_stand_where_the_line_says(lines: Any) -> None:
    """The whole picture is put together again from labels and columns."""
    for picture, labels, starts, ends, _ in each(lines())[:200]:
        expected = np.zeros_like(picture)
        for label, start, end in zip(labels, starts, ends, strict=True):
            if label != SPACE:
                columns = expected[:, start : end + 1]
                np.maximum(columns, own_columns(label), out=columns)
        np.testing.assert_array_equal(picture, expected)


def test_margins_gaps_and_spaces_are_in_their_bounds() -> None:
    margins, gaps, spaces = set(), set(), set()
    for _, labels, starts, ends, length in each(wide_lines()):
        margins |= {starts[0], length - 1 - ends[-1]}
        between = starts[1:] - ends[:-1] - 1
        beside_space = (labels[1:] == SPACE) | (labels[:-1] == SPACE)
        gaps |= set(between[~beside_space])
        # A space is all that lies between two words.
        assert not between[beside_space].any()
        spaces |= set((ends - starts + 1)[labels == SPACE])
    assert margins == set(range(2, 7))
    assert gaps == set(range(2, 6))
    assert spaces == set(range(10, 19))


def test_digits_cover_half_of_each_other_at_most() -> None:
    covered = set()
    for _, labels, starts, ends, _ in each(overlapping_lines()):
        widths = ends - starts + 1
        overlap = ends[:-1] + 1 - starts[1:]
        digits = (labels[1:] != SPACE) & (labels[:-1] != SPACE)
        half = np.minimum(widths[1:], widths[:-1]) // 2
        assert (overlap <= half)[digits].all()
        assert not overlap[~digits].any()
        covered |= set(overlap[digits])
    widest = max(own_columns(label).shape[1] for label in (1, 2, 3))
    assert covered == set(range(1, widest // 2 + 1))


def test_nothing_stands_behind_a_line() -> None:
    for lines in (lines_of(split_of(HARD), 8), wide_lines()):
        after_line = np.arange(lines["inputs"].shape[2]) >= lines["lengths"][:, None]
        assert not lines["inputs"].swapaxes(1, 2)[after_line].any()
        after_text = np.arange(20) >= lines["label_lengths"][:, None]
        for name in ("labels", "starts", "ends"):
            assert not lines[name][after_text].any()
        assert (lines["labels"][~after_text] > 0).all()


def test_symbols_and_their_number() -> None:
    lines = wide_lines()
    counts = np.bincount(lines["label_lengths"], minlength=21)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-3
    counts = np.bincount(lines["labels"].ravel(), minlength=5)
    assert stats.chisquare(counts[1:SPACE]).pvalue > 1e-3


def test_spaces_stand_within_a_line_and_alone() -> None:
    may = did = 0
    for _, labels, *_ in each(wide_lines()):
        space = labels == SPACE
        assert not space[0] and not space[-1]
        assert not (space[1:] & space[:-1]).any()
        may += (~space[:-2]).sum()
        did += space[1:-1].sum()
    assert abs(did / may - 0.2) < 4 * (0.2 * 0.8 / may) ** 0.5


def test_what_does_not_fit_is_not_written() -> None:
    whole = each(wide_lines())[:300]
    cut = each(lines_of(split_of(dataclasses.replace(WIDE, width=150)), 300))
    num_cut = 0
    for (picture, labels, starts, ends, length), written in zip(cut, whole, strict=True):
        right = written[4] - 1 - written[3][-1]
        number = int((written[3] + right < 150).sum())
        number -= written[1][number - 1] == SPACE
        np.testing.assert_array_equal(labels, written[1][:number])
        np.testing.assert_array_equal(starts, written[2][:number])
        np.testing.assert_array_equal(ends, written[3][:number])
        assert length == ends[-1] + 1 + right <= 150
        np.testing.assert_array_equal(picture[:, : ends[-1] + 1], written[0][:, : ends[-1] + 1])
        num_cut += number < len(written[1])
    assert 100 < num_cut < 300
