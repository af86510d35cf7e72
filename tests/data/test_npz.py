"""Layouts of `.npz` files; what is wrong with them, in one line."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.making import CLASSES, arrays, assert_equal, clip_set, npz, save_npz, says


def test_string_labels_are_class_names(tmp_path: Path, rng: np.random.Generator) -> None:
    clips, labels = clip_set(rng)
    save_npz(tmp_path / "numbers.npz", clips, labels, class_names=CLASSES)
    save_npz(tmp_path / "names.npz", clips, [CLASSES[label] for label in labels])
    assert_equal(npz(tmp_path / "numbers.npz"), npz(tmp_path / "names.npz"))


def medmnist(path: Path, shape: tuple[int, ...], **more: np.ndarray) -> Path:
    rng = np.random.default_rng(1)
    saved = {}
    for split, count in (("train", 20), ("val", 4), ("test", 6)):
        saved[f"{split}_images"] = rng.integers(0, 256, (count, *shape), np.uint8)
        saved[f"{split}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    np.savez(path, **(saved | more))
    return path


@pytest.mark.parametrize(
    ("shape", "input_shape"),
    [
        ((28, 28), (28, 28, 1)),
        ((28, 28, 3), (28, 28, 3)),
        ((28, 28, 28), (28, 28, 28, 1)),
        ((5, 28, 28, 3), (5, 28, 28, 3)),
    ],
)
def test_medmnist(
    tmp_path: Path, shape: tuple[int, ...], input_shape: tuple[int, int, int, int]
) -> None:
    found = npz(medmnist(tmp_path / "x.npz", shape), validation_fraction=0.1, test_fraction=0.1)
    assert found.input_shape == input_shape
    assert found.of_clips == (len(input_shape) == 4)
    assert found.class_names == ("0", "1")
    assert [len(found.split(s)) for s in ("train", "validation", "test")] == [20, 4, 6]
    if found.of_clips:
        assert arrays(found).lengths.tolist() == [shape[0]] * 20
    small = npz(tmp_path / "x.npz", size=(14, 10, 0))
    assert small.input_shape[-3:] == (14, 10, input_shape[-1])


def test_kind_decides(tmp_path: Path) -> None:
    pixels, labels = np.arange(360).astype(np.uint8), [0, 1, 0, 1]
    np.savez(tmp_path / "x.npz", images=pixels.reshape(4, 6, 5, 3), labels=labels)
    assert npz(tmp_path / "x.npz").input_shape == (6, 5, 3)
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (6, 5, 3, 1)
    np.savez(tmp_path / "x.npz", images=pixels.reshape(4, 3, 6, 5), labels=labels)
    says(lambda: npz(tmp_path / "x.npz"), "np.moveaxis(images, 1, -1)", "config.data.kind")
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (3, 6, 5, 1)
    says(lambda: npz(tmp_path / "x.npz", kind="images"), "channels come last")


IMAGES, LABELS = np.ones((4, 6, 5), np.uint8), np.array([0, 1, 0, 1])
CLIP_ARRAY = np.ones((4, 7, 6, 5), np.uint8)


@pytest.mark.parametrize(
    ("saved", "parts"),
    [
        ({"image": IMAGES, "labels": LABELS}, ["'image'", "did you mean 'images'"]),
        ({"u": IMAGES, "v": LABELS}, ["no 'images'", "it has u, v", "train_images"]),
        ({}, ["no 'images'", "nothing"]),
        ({"images": IMAGES}, ["no 'labels'"]),
        ({"train_images": IMAGES}, ["no 'train_labels'"]),
        ({"test_images": IMAGES, "test_labels": LABELS}, ["no 'train_images'"]),
        (
            {"images": IMAGES, "labels": LABELS, "train_images": IMAGES, "train_labels": LABELS},
            ["both images and train_images"],
        ),
        (
            {f"{p}_{k}": v for p in ("train", "val", "validation")
             for k, v in (("images", IMAGES), ("labels", LABELS))},
            ["both validation_images and val_images"],
        ),
        ({"images": IMAGES * 1j, "labels": LABELS}, ["images is complex128", "uint8 as 0 (black)"]),
        (
            {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES / 255,
             "test_labels": LABELS},
            ["test_images is float64 and train_images uint8", "all in one type"],
        ),
        ({"images": IMAGES, "labels": np.eye(4)}, ["one-hot", "argmax(axis=1)"]),
        ({"images": IMAGES, "labels": 2 * np.tri(4)}, ["(4, 4)", "multi-label", "save one column"]),
        ({"x": IMAGES, "data": IMAGES, "y": LABELS}, ["both 'x' and 'data' may be its images"]),
        (
            {"images": np.ones((4, 20, 20, 4), np.uint8), "labels": LABELS},
            ["4 channels", "[..., :3]"],
        ),
        (
            {"images": np.ones((4, 20, 30, 2), np.uint8), "labels": LABELS},
            ["2 channels", "'clips'"],
        ),
        (
            {"images": np.ones((4, 20, 20, 16), np.uint8), "labels": LABELS},
            ["axis 3 (of 16) is time", "np.moveaxis(images, -1, 1)", "config.data.kind = 'clips'"],
        ),
        (
            {"images": np.ones((4, 20, 30, 8), np.uint8), "labels": LABELS},
            ["axis 3 (of 8) is time"],
        ),
        (
            {"images": np.ones((4, 20, 20, 7, 3), np.uint8), "labels": LABELS},
            ["axis 3 (of 7) is time", "np.moveaxis(images, -2, 1)"],
        ),
        ({"images": IMAGES.astype(object), "labels": LABELS}, ["Python objects"]),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, ["'labels' holds Python objects"]),
        ({"images": np.ones((4, 30), np.uint8), "labels": LABELS}, ["(4, 30)", "images are"]),
        ({"images": np.ones(4, np.uint8), "labels": LABELS}, ["(4,)", "clips are"]),
        ({"images": np.ones((4, 0, 5), np.uint8), "labels": LABELS}, ["(4, 0, 5)"]),
        ({"images": np.ones((4, 7, 3, 6, 5), np.uint8), "labels": LABELS}, ["channels come last"]),
        ({"images": IMAGES, "labels": np.full((4, 14), 2)}, ["(4, 14)", "several labels"]),
        ({"images": IMAGES, "labels": np.ones((4, 1, 1), int)}, ["(4, 1, 1)"]),
        ({"images": IMAGES, "labels": LABELS / 1.0}, ["float64", "whole numbers"]),
        ({"images": IMAGES, "labels": LABELS - 1}, ["labels has -1"]),
        ({"images": IMAGES, "labels": LABELS + 2}, ["classes 0, 1 have no training examples"]),
        ({"images": IMAGES, "labels": LABELS * 10**9}, ["a label is 1000000000"]),
        ({"images": IMAGES, "labels": LABELS * 0}, ["only one class"]),
        ({"images": IMAGES, "labels": LABELS[:3]}, ["(4, 6, 5)", "3 labels"]),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, ["train split is empty"]),
        (
            {"images": CLIP_ARRAY.swapaxes(0, 1), "labels": LABELS},
            ["(time, batch, ...)", "swapaxes"],
        ),
        (
            {"images": IMAGES, "labels": LABELS, "class_names": np.array(["a"])},
            ["labels has 1", "class_names has 1 names"],
        ),
        ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "a"]}, ["different names"]),
        ({"images": IMAGES, "labels": LABELS, "class_names": [1, 2]}, ["names are strings"]),
        (
            {"images": IMAGES, "labels": LABELS, "class_names": ["a", "b", "c"]},
            ["class c has no training"],
        ),
        (
            {"images": IMAGES, "labels": ["a", "b", "c", "a"], "class_names": ["a", "b"]},
            ["'c'", "class_names lacks"],
        ),
        ({"images": IMAGES, "labels": np.array([b"a", b"\xe9"] * 2)}, ["npz: labels", "not UTF-8"]),
        ({"images": IMAGES, "labels": LABELS, "lengths": [1] * 4}, ["which have no lengths"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1, 8, 1, 1]}, ["is 8", "1 to 7"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1, 2, 0, 1]}, ["is 0", "1 to 7"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1, 2]}, ["(2,)", "(4,)"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1.0] * 4}, ["float64"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": ["a"] * 4}, ["<U1"]),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": IMAGES[:, :5], "test_labels": LABELS},
            ["6 x 5", "5 x 5", "config.data.height", "config.data.width"],
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": CLIP_ARRAY, "test_labels": LABELS},
            ["train_images are images and test_images are clips"],
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": IMAGES, "test_labels": ["a", "b"] * 2},
            ["numbers and some strings"],
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": IMAGES[:0], "test_labels": LABELS[:0]},
            ["its test split is empty"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_npz_file(
    tmp_path: Path, saved: dict[str, Any], parts: list[str]
) -> None:
    np.savez(tmp_path / "x.npz", **saved)
    says(lambda: npz(tmp_path / "x.npz"), "x.npz", *parts)


def test_npz_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    says(lambda: npz(path), "no such file", "config.data.path")
    says(lambda: npz(tmp_path), "a folder")
    path.write_bytes(b"")
    says(lambda: npz(path), "no .npz file")
    np.save(tmp_path / "x.npy", IMAGES)
    says(lambda: npz(tmp_path / "x.npy"), ".npy", "np.savez")
    for save in (np.savez, np.savez_compressed):
        save(path, images=np.arange(3000, dtype=np.uint8).reshape(30, 10, 10), labels=[0, 1] * 15)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        says(lambda: npz(path), "damaged")
        path.write_bytes(content[:300] + bytes(b ^ 85 for b in content[300:340]) + content[340:])
        says(lambda: npz(path), "damaged")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (("x_train", "y_train"), ("x_test", "y_test")),  # Keras.
        (("X_train", "Y_train"), ("X_test", "Y_test")),
        (("train_x", "train_y"), ("valid_x", "valid_y")),
        (("arr_0", "arr_1"), ("arr_2", "arr_3")),
        (("arr_0", "arr_2"), ("arr_1", "arr_3")),  # As train_test_split returns them.
        (("data", "target"), None),
        (("images", "target"), None),
        (("X", "y"), None),
        (("arr_1", "arr_0"), None),
    ],
)
def test_names_of_others(
    tmp_path: Path, rng: np.random.Generator, train: tuple[str, str], test: tuple[str, str] | None
) -> None:
    images, labels = rng.integers(0, 256, (9, 6, 5), np.uint8), np.arange(9) % 2
    saved = {train[0]: images[:6], train[1]: labels[:6], "lengths_of_words": np.arange(3)}
    ours = {"train_images": images[:6], "train_labels": labels[:6]}
    if test:
        name = "val" if test[0].startswith("valid") else "test"
        saved |= {test[0]: images[6:], test[1]: labels[6:]}
        ours |= {f"{name}_images": images[6:], f"{name}_labels": labels[6:]}
    if "arr_0" in saved:
        del saved["lengths_of_words"]
    np.savez(tmp_path / "a.npz", **dict(sorted(saved.items())))
    np.savez(tmp_path / "b.npz", **ours)
    lines: list[str] = []
    assert_equal(npz(tmp_path / "a.npz", say=lines.append), npz(tmp_path / "b.npz"))
    assert f"{train[1]} as " in lines[0]
    # Streamed: read by the file's own names.
    streamed = npz(tmp_path / "a.npz", resident_bytes=10, say=lines.append)
    read = streamed.split("train").read(np.arange(6, dtype=np.int32))
    np.testing.assert_array_equal(read["inputs"][..., 0], images[:6])


def test_what_is_complete_is_not_renamed(tmp_path: Path) -> None:
    lines: list[str] = []
    images = np.arange(120, dtype=np.uint8).reshape(4, 6, 5)
    np.savez(tmp_path / "x.npz", images=images, labels=LABELS, x_test=IMAGES, data=LABELS)
    assert list(npz(tmp_path / "x.npz", say=lines.append).splits) == ["train"] and not lines


def test_own_and_other_names_in_one_file(tmp_path: Path) -> None:
    images = np.arange(120, dtype=np.uint8).reshape(4, 6, 5)
    own = {"train_images": images, "train_labels": LABELS}
    np.savez(tmp_path / "x.npz", **own, test_x=255 - images, test_y=LABELS, x=images)
    found = npz(tmp_path / "x.npz", say=lambda line: None)
    assert list(found.splits) == ["train", "test"]
    np.testing.assert_array_equal(arrays(found, "test").inputs[..., 0], 255 - images)


def test_labels_that_begin_at_1(tmp_path: Path) -> None:
    images = np.arange(6 * 30, dtype=np.uint8).reshape(6, 6, 5)
    labels = np.array([1, 2, 3, 1, 2, 3], np.uint8)
    lines: list[str] = []
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    found = npz(tmp_path / "x.npz", say=lines.append)
    assert arrays(found).labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.class_names == ("1", "2", "3")
    assert "labels begin at 1: taken as classes 1 to 3" in lines[0]
    np.savez(tmp_path / "x.npz", images=images, labels=labels, class_names=["a", "b", "c"])
    assert npz(tmp_path / "x.npz").class_names == ("a", "b", "c")
    np.savez(tmp_path / "x.npz", images=images, labels=labels, class_names=["a", "b", "c", "d"])
    says(lambda: npz(tmp_path / "x.npz"), "class a has no training examples")
    # One split alone without class 0 says nothing about the set.
    ours = {"train_images": images, "train_labels": labels - 1, "test_images": images}
    np.savez(tmp_path / "x.npz", **ours, test_labels=np.array([1, 2] * 3))
    found = npz(tmp_path / "x.npz")
    assert found.class_names == ("0", "1", "2")
    assert arrays(found, "test").labels.tolist() == [1, 2] * 3


def test_clips_whose_axes_are_clear(tmp_path: Path, rng: np.random.Generator) -> None:
    labels = [0, 1, 0, 1]
    for shape in ((8, 8, 12, 3), (28, 28, 28), (16, 64, 64), (5, 28, 30, 1), (64, 24, 13)):
        clips = rng.integers(0, 256, (4, *shape), np.uint8)
        np.savez(tmp_path / "x.npz", images=clips, labels=labels)
        assert npz(tmp_path / "x.npz").input_shape[:3] == shape[:3]
    for shape in ((20, 20, 16), (20, 20, 4), (20, 20, 7, 3)):
        clips = rng.integers(0, 256, (4, *shape), np.uint8)
        # As long as the first axis, so that is time.
        np.savez(tmp_path / "x.npz", images=clips, labels=labels, lengths=[20, 9, 3, 20])
        assert npz(tmp_path / "x.npz").input_shape[:3] == shape[:3]
        np.savez(tmp_path / "x.npz", images=clips, labels=labels, lengths=[16, 9, 3, 2])
        says(lambda: npz(tmp_path / "x.npz"), "if ")
    np.savez(tmp_path / "x.npz", images=clips[..., 0], labels=labels)
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (20, 20, 7, 1)


def test_changed_bytes_of_a_streamed_set_are_found(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Values of the CRC-32 that the zip has of each array."""
    path = tmp_path / "set.npz"
    images = rng.integers(0, 256, (200, 10, 10), np.uint8)
    np.savez(path, images=images, labels=np.arange(200) % 2)
    streaming = {"resident_bytes": 0, "cache_dir": tmp_path / "cache"}
    assert npz(path, **streaming).is_streamed
    content = path.read_bytes()
    for place in (9_000, 12_000, 18_000, 20_000):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with np.load(path) as whole, pytest.raises(zipfile.BadZipFile):
            whole["images"]
        says(lambda: npz(path, **streaming), "Bad CRC-32 for file 'images.npy'", "make it again")
