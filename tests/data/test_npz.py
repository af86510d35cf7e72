"""Layouts of `.npz` files; what is wrong with them, in one line."""

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
    labels = [0, 1, 0, 1]
    np.savez(tmp_path / "x.npz", images=np.ones((4, 6, 5, 3), np.uint8), labels=labels)
    assert npz(tmp_path / "x.npz").input_shape == (6, 5, 3)
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (6, 5, 3, 1)
    np.savez(tmp_path / "x.npz", images=np.ones((4, 3, 6, 5), np.uint8), labels=labels)
    says(lambda: npz(tmp_path / "x.npz"), "np.moveaxis(images, 1, -1)", "config.data.kind")
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (3, 6, 5, 1)
    says(lambda: npz(tmp_path / "x.npz", kind="images"), "channels come last")


IMAGES, LABELS = np.ones((4, 6, 5), np.uint8), np.array([0, 1, 0, 1])
CLIP_ARRAY = np.ones((4, 7, 6, 5), np.uint8)


@pytest.mark.parametrize(
    ("saved", "parts"),
    [
        ({"image": IMAGES, "labels": LABELS}, ["'image'", "did you mean 'images'"]),
        ({"x": IMAGES, "y": LABELS}, ["no 'images'", "it has x, y", "train_images"]),
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
        ({"images": IMAGES / 255, "labels": LABELS}, ["float64", "uint8", ".astype(np.uint8)"]),
        ({"images": IMAGES.astype(object), "labels": LABELS}, ["Python objects"]),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, ["'labels' holds Python objects"]),
        ({"images": np.ones((4, 30), np.uint8), "labels": LABELS}, ["(4, 30)", "images are"]),
        ({"images": np.ones(4, np.uint8), "labels": LABELS}, ["(4,)", "clips are"]),
        ({"images": np.ones((4, 0, 5), np.uint8), "labels": LABELS}, ["(4, 0, 5)"]),
        ({"images": np.ones((4, 7, 3, 6, 5), np.uint8), "labels": LABELS}, ["channels come last"]),
        ({"images": IMAGES, "labels": np.ones((4, 14), int)}, ["(4, 14)", "several labels"]),
        ({"images": IMAGES, "labels": np.ones((4, 1, 1), int)}, ["(4, 1, 1)"]),
        ({"images": IMAGES, "labels": LABELS / 1.0}, ["float64", "whole numbers"]),
        ({"images": IMAGES, "labels": LABELS - 1}, ["labels has -1"]),
        ({"images": IMAGES, "labels": LABELS + 1}, ["class 0 has no training examples"]),
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
