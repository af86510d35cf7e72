"""Features from other programs: folders of files, one file, and what is wrong with them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.sources.feature_folders import load_features
from seqvision.data.sources.loading import Loading
from seqvision.errors import UserError
from seqvision.features import _write_set

LOADING = Loading(validation_fraction=0.2, test_fraction=0.2, say=lambda line: None)


def clip(seed: int, length: int = 3, size: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, size)).astype(np.float32)


def folder(path: Path, count: int = 20) -> dict[str, np.ndarray]:
    """A class folder each for `cat` and `dog`, in .npy and .npz; the features by their files."""
    made = {}
    for number in range(count):
        place = path / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        array = clip(number, length=1 + number % 5)
        if number % 3:
            file = place / f"{number}.npy"
            np.save(file, array.astype(np.float64) if number % 4 else array)
        else:
            file = place / f"{number}.npz"
            np.savez(file, features=array, fps=np.array(25))
        made[str(file)] = array
    return made


def test_folders(tmp_path: Path) -> None:
    made = folder(tmp_path)
    dataset = load_features(tmp_path, LOADING)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.input_shape == (5, 1, 1, 4)
    seen = []
    for split in dataset.splits.values():
        batch = split.read(np.arange(len(split), dtype=np.int32))
        assert batch["inputs"].dtype == np.float32
        for name, *parts in zip(
            split.names, batch["inputs"], batch["labels"], batch["lengths"], strict=True
        ):
            inputs, label, length = parts
            np.testing.assert_array_equal(inputs[:length, 0, 0], made[name])
            assert not inputs[length:].any()
            assert dataset.class_names[label] == Path(name).parent.name
        seen += split.names
    assert sorted(seen) == sorted(made)


def test_folders_of_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        folder(tmp_path / split, 4)
    sizes = {name: len(split) for name, split in load_features(tmp_path, LOADING).splits.items()}
    assert sizes == {"train": 4, "validation": 4, "test": 4}


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], ["cat", "dog", "dog", "cat"]])
def test_one_file(tmp_path: Path, labels: list[Any]) -> None:
    features, lengths = clip(0, 4 * 3).reshape(4, 3, 4), np.array([3, 1, 2, 3])
    arrays = {"features": features, "labels": np.array(labels), "lengths": lengths}
    parts = {
        f"{split}{name}": array for split in ("train_", "val_") for name, array in arrays.items()
    }
    np.savez(tmp_path / "set.npz", **parts)
    dataset = load_features(tmp_path / "set.npz", Loading(say=lambda line: None))
    batch = dataset.splits["validation"].read(np.arange(4, dtype=np.int32))
    np.testing.assert_array_equal(batch["labels"], [0, 1, 1, 0])
    np.testing.assert_array_equal(batch["lengths"], lengths)
    mask = np.arange(3) < lengths[:, None]
    np.testing.assert_array_equal(batch["inputs"][:, :, 0, 0], features * mask[..., None])


@pytest.mark.parametrize(("content", "words"), [
    (clip(0, size=5), "5 features of each frame, and others have 4"),
    (clip(0)[0], "shape (4,); (frames, features) is needed"),
    (np.array(["a"]), "an array of <U1; features are numbers"),
    (np.array([{}]), "no array of numpy, or a damaged one"),
    (np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 0), "1 of its numbers are NaN or infinite,"
     " the first in frame 1"),
    (b"\x93NUMPY", "no array of numpy, or a damaged one"),
])  # fmt: skip
def test_a_wrong_file_is_named(tmp_path: Path, content: Any, words: str) -> None:
    folder(tmp_path)
    file = tmp_path / "cat" / "x.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    with pytest.raises(UserError) as refusal:
        load_features(tmp_path, LOADING)
    line = str(refusal.value)
    assert words in line and str(file) in line and "\n" not in line


@pytest.mark.parametrize(("changed", "words"), [
    ({"features": clip(0)}, "features has the shape (3, 4); (N, L, D) is needed"),
    ({"features": clip(0, 15).reshape(5, 3, 4)}, "has the shape (5, 3, 4), of 4 labels"),
    ({"labels": None}, "labels: missing"),
    ({"labels": np.array([0.0, 1, 1, 0])}, "labels is float64"),
    ({"labels": np.array([0, 1, 9, 0])}, "a label is 9, with 4 examples"),
    ({"targets": np.array([[0, 1, 1]] * 3)}, "has the shape (4, 3, 4), of 3 labels"),
    ({"targets": np.eye(3)[[[0, 1, 2]] * 4]}, "(4, 3, 3); a class for each frame"),
    ({"targets": np.eye(3)[[[0, 1, 2]] * 4]}, "one-hot rows: save targets.argmax(axis=-1)"),
    ({"targets": np.array([[0, 1, 1]] * 4), "lengths": np.array([3, 2, 3, 3])},
     "targets: example 1 has the target 1 at frame 2"),
    ({"lengths": np.array([3, 9, 1, 1])}, "from 1 to 3"),
    ({"features": None, "images": clip(0)}, "features (N, L, D)"),
])  # fmt: skip
def test_a_wrong_set_is_named(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    arrays = {"features": clip(0, 12).reshape(4, 3, 4), "labels": np.array([0, 1, 1, 0])} | changed
    path = tmp_path / "set.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(UserError) as refusal:
        load_features(path, LOADING)
    assert words in str(refusal.value) and str(path) in str(refusal.value)


@pytest.mark.parametrize("way", ["table", "pattern", "array"])
def test_groups_stay_together(tmp_path: Path, way: str) -> None:
    """By a table, a pattern and an array; each clip keeps its own."""
    loading = LOADING
    group_of = {}
    if way == "array":
        features, groups = np.stack([clip(n) for n in range(40)]), np.arange(40) // 4
        path = tmp_path / "features.npz"
        np.savez(path, features=features, labels=np.arange(40) % 2, groups=groups)
        group_of = {f"{path}: features[{n}]": str(groups[n]) for n in range(40)}
    else:
        path = tmp_path
        for name in folder(path, 40):
            group_of[name] = f"p{int(Path(name).stem) // 4}"
        lines = [f"{Path(name).relative_to(path)},{group}" for name, group in group_of.items()]
        if way == "table":
            (path / "groups.csv").write_text("\n".join(lines))
        else:
            loading = dataclasses.replace(
                loading, group_pattern="(cat|dog)", validation_fraction=0.0, test_fraction=0.0
            )
            group_of = {name: Path(name).parent.name for name in group_of}
    splits = load_features(path, loading).splits.values()
    for split in splits:
        assert split.groups == tuple(group_of[name] for name in split.names)
    sides = [set(split.groups) for split in splits]
    assert sum(map(len, sides)) == len(set(group_of.values()))


def test_leaks_are_counted(tmp_path: Path) -> None:
    train, test = [np.stack([clip(n) for n in numbers]) for numbers in ((0, 1, 2, 3), (3, 4))]
    said: list[str] = []
    parts: dict[str, Any] = {"train_features": train, "train_labels": [0, 1, 0, 1]}
    parts |= {"train_groups": list("aabb")}
    parts |= {"test_features": test, "test_labels": [1, 0], "test_groups": list("bc")}
    np.savez(tmp_path / "f.npz", **parts)
    loading = dataclasses.replace(LOADING, say=said.append, validation_fraction=0.0)
    load_features(tmp_path / "f.npz", loading)
    said.remove("groups: 6 examples are of 3 groups: a, b, c")
    content, group = said
    assert "leak: 1 of 2 test examples have the same content as train examples" in content
    assert "test_features[0]" in content and "train_features[3]" in content
    assert "leak: 1 of 2 test examples are of 1 groups that train has too, such as b" in group


STEPS = [[0, 1, -1], [2, 2], [1, 0, 2, 1], [0]]
TARGETS: dict[str, list[Any]] = {
    "steps": STEPS,
    "text": [["abc"[n] if n >= 0 else "" for n in row] for row in STEPS],
    "table": STEPS,
    "labels": [[1, 0], [0, -1], [1, 1], [0, 1]],
    "number": [0.5, np.nan, -2.25, 3.0],
}


def with_targets(path: Path, kind: str) -> Path:
    """Four files without class folders, each with its targets."""
    path.mkdir()
    for number, target in enumerate(TARGETS[kind]):
        arrays: dict[str, Any] = {"labels": np.array(target)}
        if kind in ("steps", "text"):
            arrays = {"targets": np.array(target)}
            arrays |= {"class_names": list("abc")} if kind == "steps" else {}
        if kind == "table":
            (path / f"{number}.csv").write_text(
                "frame,target\n"
                + "\n".join(f"{k},{'abc'[n]}" for k, n in enumerate(target) if n >= 0)
            )
            np.save(path / f"{number}.npy", clip(number, len(STEPS[number])))
        else:
            features = clip(number, len(STEPS[number]))
            np.savez(path / f"{number}.npz", features=features, **arrays)
    return path


@pytest.mark.parametrize("kind", TARGETS)
def test_targets_of_each_file(tmp_path: Path, kind: str) -> None:
    dataset = load_features(with_targets(tmp_path / "f", kind), Loading())
    steps = kind in ("steps", "text", "table")
    assert dataset.targets.kind == ("steps" if steps else kind)
    if steps:
        assert dataset.class_names == ("a", "b", "c")
    labels = dataset.splits["train"].read(np.arange(4, dtype=np.int32))["labels"]
    if steps:
        for row, target in zip(labels, STEPS, strict=True):
            assert row.tolist() == target + [-1] * (4 - len(target))
    else:
        np.testing.assert_array_equal(labels, np.array(TARGETS[kind], labels.dtype))
    if kind == "number":
        known = np.array([0.5, -2.25, 3.0])
        assert dataset.targets.offset == pytest.approx(known.mean())
        assert dataset.targets.scale == pytest.approx(known.std())


def test_targets_in_one_file_and_class_folders_that_only_hold_clips(tmp_path: Path) -> None:
    padded = np.array([row + [-1] * (4 - len(row)) for row in STEPS])
    lengths = [len(row) for row in STEPS]
    features = clip(0, 16).reshape(4, 4, 4)
    np.savez(tmp_path / "f.npz", features=features, targets=padded, lengths=lengths)
    dataset = load_features(tmp_path / "f.npz", Loading())
    assert dataset.targets.kind == "steps" and dataset.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(dataset.splits["train"].arrays["labels"], padded)
    held = with_targets(tmp_path / "ward", "steps")
    for split, numbers in (("train", "0123"), ("test", "12")):
        for number in numbers:
            place = tmp_path / "set" / split / ("x" if number == "1" else "y")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.npz").write_bytes((held / f"{number}.npz").read_bytes())
    said: list[str] = []
    dataset = load_features(tmp_path / "set", Loading(say=said.append))
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 4, "test": 2}
    assert dataset.splits["test"].arrays["labels"].tolist() == [[2, 2, -1, -1], [1, 0, 2, 1]]
    assert "leak: 2 of 2 test examples" in said[0]
    dataset = load_features(tmp_path / "set", Loading(target="class", say=said.append))
    assert dataset.targets.kind == "class" and dataset.class_names == ("x", "y")


@pytest.mark.parametrize(("kind", "changed", "target", "words"), [
    ("steps", {"targets": [0, 1]}, "auto", "npz has 2 targets and 3 frames"),
    ("steps", {"targets": np.eye(3)}, "auto", "(3, 3); a class for each frame, (3,), is needed:"
     " these are one-hot rows"),
    ("steps", {"targets": [0.5, 1, 1]}, "auto", "classes are whole numbers from 0 to K - 1"),
    ("steps", {}, "auto", "no targets in it or beside it, and 3 of 4 clips have them; add them, or"
     " set config.data.target=class"),
    ("steps", {"targets": [0, 1, 1], "class_names": ["x", "y", "z"]}, "auto", "class_names are"),
    ("text", {"targets": ["a", "b", "c", "a"]}, "auto", "has the target 0 at frame 3"),
    ("text", {}, "labels", "config.data.target=labels, and none"),
    ("labels", {"labels": [1, 0, 1]}, "auto", "the same K in all"),
    ("labels", {"labels": [2, 0]}, "labels", "has other values than 0 and 1"),
    ("labels", {}, "auto", "no labels in it, and 3 of 4 clips"),
    ("number", {"labels": np.inf}, "number", "is inf"),
    ("text", {}, "class", "it has no class: put it into a folder"),
])  # fmt: skip
def test_wrong_targets_of_a_file_are_named(
    tmp_path: Path, kind: str, changed: dict[str, Any], target: str, words: str
) -> None:
    path = with_targets(tmp_path / "f", kind)
    np.savez(path / "0.npz", features=clip(0), **changed)
    if target == "labels" and kind == "text":
        for file in path.iterdir():
            np.savez(file, features=clip(0))
    with pytest.raises(UserError) as refusal:
        load_features(path, Loading(target=target))
    line = str(refusal.value)
    assert words in line and "\n" not in line
    assert ".npz" in line


def test_whole_numbers_and_two_places_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.mkdir()
    for number in range(3):
        np.savez(path / f"{number}.npz", features=clip(number), labels=number)
    with pytest.raises(UserError, match=r"config.data.target=number if it is a number"):
        load_features(path, Loading())
    assert load_features(path, Loading(target="number")).targets.scale == pytest.approx(
        np.std([0, 1, 2])
    )
    np.savez(path / "0.npz", features=clip(0), targets=[0, 1, 1])
    (path / "0.csv").write_text("target\na\na\nb")
    with pytest.raises(UserError, match=r"0.npz: it has targets, and 0.csv beside it as well"):
        load_features(path, Loading())


@pytest.mark.parametrize("kind", ["steps", "labels", "number"])
def test_written_sets_are_read_again(tmp_path: Path, kind: str) -> None:
    dataset = load_features(with_targets(tmp_path / "f", kind), Loading())
    _write_set(tmp_path / "out", dataset)
    again = load_features(tmp_path / "out", Loading(target=kind))
    assert (again.class_names, again.targets) == (dataset.class_names, dataset.targets)
    for name, array in dataset.splits["train"].arrays.items():
        np.testing.assert_array_equal(again.splits["train"].arrays[name], array)
