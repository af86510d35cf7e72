"""Targets other than one class: what is read of files, what is refused, and how classes balance."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from seqvision.data.batching import example_indices
from seqvision.data.class_balance import balanced_draws, class_weights
from seqvision.data.dataset import StreamedSplit
from seqvision.data.targets import Targets
from seqvision.errors import UserError
from tests.data.making import arrays, folders, npz, save_frames

NUM, FRAMES = 6, 4
CLIPS = np.random.default_rng(0).integers(0, 256, (NUM, FRAMES, 5, 6, 1)).astype(np.uint8)
LENGTHS = np.array([4, 2, 3, 4, 1, 4])
STEPS = np.where(
    np.arange(FRAMES) < LENGTHS[:, None], np.arange(NUM * FRAMES).reshape(NUM, -1) % 3, -1
)
IMAGES = CLIPS[:, 0, ..., 0]
LABELS = np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [1, 1]])


def saved(path: Path, **content: Any) -> Path:
    np.savez(path / "set.npz", **content)
    return path / "set.npz"


def steps_of(path: Path, say: Any = print, **options: Any) -> Any:
    return npz(path, validation_fraction=0, test_fraction=0, say=say, **options)


@pytest.mark.parametrize("form", ["padded", "in a row", "text", "floats", "beside labels"])
def test_a_class_for_each_frame_is_found_in_every_form(tmp_path: Path, form: str) -> None:
    names = np.array(["in", "out", "rest"])
    content: dict[str, Any] = {"images": CLIPS, "lengths": LENGTHS, "class_names": names}
    real = np.arange(FRAMES) < LENGTHS[:, None]
    content["targets"] = {
        "padded": STEPS,
        "in a row": STEPS[real],
        "text": np.where(real, names[STEPS], ""),
        "floats": np.where(STEPS < 0, np.nan, STEPS),
        "beside labels": STEPS,
    }[form]
    if form == "beside labels":
        content["labels"] = np.arange(NUM) % 3
    dataset = steps_of(saved(tmp_path, **content), say=lambda line: None)
    assert dataset.targets == Targets("steps")
    assert dataset.class_names == ("in", "out", "rest")
    np.testing.assert_array_equal(arrays(dataset).labels, STEPS)
    assert arrays(dataset).labels.dtype == np.int32
    if form == "beside labels":
        found = steps_of(tmp_path / "set.npz", target="class")
        np.testing.assert_array_equal(arrays(found).labels, np.arange(NUM) % 3)


def test_several_labels_and_numbers_are_found_with_what_is_unknown(tmp_path: Path) -> None:
    some = LABELS.astype(float)
    some[0, 0] = np.nan
    found = steps_of(saved(tmp_path, images=IMAGES, labels=some, class_names=np.array(["a", "b"])))
    assert found.targets == Targets("labels")
    assert found.class_names == ("a", "b")
    np.testing.assert_array_equal(arrays(found).labels, np.where(np.isnan(some), -1, LABELS))
    numbers = np.array([1.5, 2, np.nan, 4, 5, 6])
    found = steps_of(saved(tmp_path, images=IMAGES, labels=numbers))
    mean, std = np.nanmean(numbers), np.nanstd(numbers)
    assert found.targets.kind == "number"
    assert (found.targets.offset, found.targets.scale) == pytest.approx((mean, std))
    np.testing.assert_array_equal(arrays(found).labels, numbers.astype(np.float32))
    whole = saved(tmp_path, images=IMAGES, labels=np.arange(NUM))
    assert steps_of(whole, target="number").targets.kind == "number"
    assert steps_of(whole).targets.kind == "class"


@pytest.mark.parametrize("kind", ["steps", "labels", "number"])
def test_streamed_targets_are_those_in_memory(tmp_path: Path, kind: str) -> None:
    content = {
        "steps": {"images": CLIPS, "lengths": LENGTHS, "targets": STEPS},
        "labels": {"images": IMAGES, "labels": LABELS},
        "number": {"images": IMAGES, "labels": np.linspace(0, 1.5, NUM)},
    }[kind]
    path = saved(tmp_path, **content, groups=np.array(list("aabbcc")))
    streamed = steps_of(path, resident_bytes=0).splits["train"]
    assert isinstance(streamed, StreamedSplit)
    held = arrays(steps_of(path))
    numbers = np.array([3, 0, 5], np.int32)
    np.testing.assert_array_equal(streamed.read(numbers)["labels"], held.labels[numbers])
    assert streamed.groups == held.groups == tuple("aabbcc")


def test_a_group_never_lies_on_both_sides_of_a_split(tmp_path: Path) -> None:
    groups = np.arange(200) // 5
    images = np.random.default_rng(1).integers(0, 256, (200, 4, 4)).astype(np.uint8)
    path = saved(tmp_path, images=images, labels=np.arange(200) % 2, groups=groups)
    splits = npz(path, validation_fraction=0.2, test_fraction=0.2).splits
    sides = [set(split.groups) for split in splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 40
    assert min(map(len, sides)) > 2


@pytest.mark.parametrize(
    ("content", "options", "parts"),
    [
        ({"targets": STEPS[:, :2]}, {}, ["example 0 has 2 targets and 4 frames", "-1 where"]),
        ({"targets": STEPS.clip(0)}, {}, ["example 1 has the target 0 at frame 2", "0 to 1"]),
        ({"targets": STEPS[STEPS >= 0][:-1]}, {}, ["17 targets in a row", "18 frames together"]),
        ({"targets": STEPS * 0.5}, {}, ["float64", "whole numbers"]),
        ({"targets": STEPS - 1}, {}, ["has -2", "0 to K - 1"]),
        ({"targets": np.full((NUM, FRAMES), -1)}, {}, ["no target of its train split is known"]),
        ({"targets": np.where(STEPS > 1, 3, STEPS)}, {}, ["class 2 has no training examples"]),
        ({"labels": STEPS}, {}, ["as many as frames", "config.data.target=steps"]),
        ({"labels": STEPS[:, :1] * 1.0}, {}, ["float64", "config.data.target=number"]),
        ({"labels": STEPS}, {"target": "labels"}, ["other values than 0 and 1"]),
        ({"labels": STEPS}, {"target": "number"}, ["a number for each example, (6,)"]),
        ({"labels": np.full(NUM, 2.5)}, {}, ["all training numbers are 2.5"]),
        ({"labels": [0.5, 1, 2, 3, 4, np.inf]}, {}, ["example 5 is inf"]),
        ({"labels": LABELS, "class_names": np.array(["a"])}, {}, ["there are 2 labels"]),
        (
            {"labels": LABELS[:, 0], "groups": np.zeros(3)},
            {},
            ["groups is float64 (3,)", "a whole number or a"],
        ),
        (
            {"targets": np.where(STEPS < 0, "", "q"), "class_names": np.array(["a", "b"])},
            {},
            ["has 'q', which class_names lacks", "a, b"],
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, content: dict[str, Any], options: dict[str, str], parts: list[str]
) -> None:
    path = saved(tmp_path, images=CLIPS, lengths=LENGTHS, **content)
    with pytest.raises(UserError) as error:
        steps_of(path, say=lambda line: None, **options)
    assert "\n" not in str(error.value)
    assert all(part in str(error.value) for part in ("set.npz", *parts)), str(error.value)


def save_clips(root: Path, tables: list[str | None]) -> Path:
    for number, table in enumerate(tables):
        clip = save_frames(root / f"ward{number % 2}" / f"clip{number}", CLIPS[number])
        if table is not None:
            (clip / "targets.csv").write_text(table)
    return root


def test_tables_beside_clips_give_each_frame_a_class(tmp_path: Path) -> None:
    tables = [
        "target\nfall\nrun\n\nrun\n",
        "frame,target\n3,run\n1,fall\n",
        "target\nfall\n-1\n\n\n",
    ]
    said: list[str] = []
    root = save_clips(tmp_path / "set", tables)
    options: dict[str, Any] = {"reads_clips": True, "say": said.append}
    dataset = folders(root, validation_fraction=0, test_fraction=0, **options)
    assert dataset.targets.kind == "steps"
    assert dataset.class_names == ("fall", "run")
    # clip0 and clip2 lie in ward0.
    expected = [[0, 1, -1, 1], [0, -1, -1, -1], [-1, 0, -1, 1]]
    np.testing.assert_array_equal(arrays(dataset).labels, expected)
    assert not [line for line in said if ".csv" in line]
    by_folder = folders(root, target="class", **options)
    assert by_folder.class_names == ("ward0", "ward1")


@pytest.mark.parametrize(
    ("tables", "parts"),
    [
        (["target\na\n", None], ["clip1: no targets beside it", "1 of 2 clips"]),
        (["frame\n1\n", "target\na\n"], ["no column 'target'", "frame"]),
        (["target\na\nb\n", "target\nb\n"], ["2 rows for the 4 frames", "frame,target"]),
        (["frame,target\n4,a\n", "target\nb\n"], ["frame 4 has the target 'a'", "0 to 3"]),
        (["frame,target\nx,a\n", "target\nb\n"], ["line 2", "'x' is no number"]),
        (["frame,target\n1,a\n1,b\n", "target\nb\n"], ["line 3", "frame 1 has a target already"]),
    ],
)
def test_wrong_tables_are_one_line(
    tmp_path: Path, tables: list[str | None], parts: list[str]
) -> None:
    root = save_clips(tmp_path / "set", tables)
    with pytest.raises(UserError) as error:
        folders(root, reads_clips=True, validation_fraction=0, test_fraction=0)
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_a_class_of_the_test_tables_alone_names_the_clip(tmp_path: Path) -> None:
    for split, names in (("train", "ab"), ("test", "ac")):
        for number, name in enumerate(names):
            clip = save_frames(tmp_path / split / "ward" / f"clip{number}", CLIPS[number])
            rows = "".join(f"{name}\n" for _ in CLIPS[number])
            (clip / "targets.csv").write_text(f"target\n{rows}")
    with pytest.raises(UserError, match=r"class c has no .*test/ward/clip1 of test has it"):
        folders(tmp_path, reads_clips=True, validation_fraction=0)


def test_balanced_weights_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, (40, 5))
    labels[rng.random(labels.shape) < 0.3] = -1
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels[labels >= 0])
    assert class_weights(labels, Targets("steps"), 3) == pytest.approx(tuple(expected))
    binary = np.minimum(labels, 1)
    binary[:, 4] = 1
    zeros, ones = class_weights(binary, Targets("labels"), 5)
    for column in range(4):
        known = binary[:, column][binary[:, column] >= 0]
        expected = compute_class_weight("balanced", classes=np.arange(2), y=known)
        assert (zeros[column], ones[column]) == pytest.approx(tuple(expected))
    assert (zeros[4], ones[4]) == (1, 1)


def test_balanced_draws_have_every_class_in_every_round_and_resume_anywhere() -> None:
    labels = np.array([0] * 50 + [1] * 7 + [2] * 3)[np.random.default_rng(2).permutation(60)]
    draws = balanced_draws(labels, 3)
    whole = draws(4, 0, 3 * 5000)
    rounds = labels[whole].reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), np.tile([0, 1, 2], (5000, 1)))
    assert len(Counter(map(tuple, rounds.tolist()))) == 6  # The classes come in any order.
    counts = np.bincount(whole, minlength=60)
    for label in range(3):
        own = counts[labels == label]
        assert own.max() - own.min() <= 1  # Each as often as any other of its class.
    for start, count in ((0, 1), (1, 7), (7777, 100), (12_286, 6), (14_999, 1)):
        np.testing.assert_array_equal(draws(4, start, count), whole[start : start + count])
    assert (draws(5, 0, 90) != whole[:90]).any()
    assert (example_indices(4, 60, 0, 60, 1) != example_indices(4, 60, 0, 60)).any()
