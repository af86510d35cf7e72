"""Which folders are splits, classes, clips or groups of images, and what is said about it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqvision.data.sources.split_names import split_of
from tests.data.making import (
    arrays,
    assert_equal,
    clips_of,
    folders,
    save_animation,
    save_png,
    says,
    some_images,
)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "valid"), ["train", "validation"]),
        (("training", "testing"), ["train", "test"]),
        (("train", "dev", "test"), ["train", "validation", "test"]),
        (("train", "eval"), ["train", "validation"]),
        (("train", "val", "eval"), ["train", "validation", "test"]),
        (("training_set", "test_set"), ["train", "test"]),
        (("Train", "Validation", "Test"), ["train", "validation", "test"]),
        (("train2017", "val2017"), ["train", "validation"]),
        (("seg_train", "seg_test"), ["train", "test"]),
        (("trainImages", "testImages"), ["train", "test"]),
    ],
)
def test_names_of_splits(tmp_path: Path, names: tuple[str, ...], splits: list[str]) -> None:
    for name in names:
        some_images(tmp_path / name, ("cat", "dog"))
    lines: list[str] = []
    found = folders(tmp_path, say=lines.append)
    assert found.class_names == ("cat", "dog") and list(found.splits) == splits
    assert not found.of_clips
    usual = {"train", "val", "validation", "test"}
    lines = [line for line in lines if "leak: " not in line]  # The same images are in each.
    assert [line for line in lines if line.startswith("splits: ")] == (
        lines if {name.lower() for name in names} - usual else []
    )


def test_other_names_are_classes(tmp_path: Path) -> None:
    for names in (("bus", "train"), ("bullet train", "test tube"), ("steam train", "valid ticket")):
        path = tmp_path / names[0]
        assert folders(some_images(path, names)).class_names == names
    assert split_of("training and testing") is None and split_of("devil") is None


def test_folders_beside_splits_that_hold_no_images(tmp_path: Path) -> None:
    some_images(tmp_path / "train", ("cat", "dog"))
    some_images(tmp_path / "valid", ("cat", "dog"))
    before = folders(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/x.xml").write_text("x")
    lines: list[str] = []
    assert_equal(folders(tmp_path, say=lines.append), before)
    assert "annotations" in lines[1] and "left out" in lines[1]


def test_splits_inside_class_folders(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        some_images(tmp_path / name, ("training", "testing"), count=2)
    lines: list[str] = []
    found = folders(tmp_path, say=lines.append)
    assert found.class_names == ("cat", "dog")
    assert [len(found.split(name)) for name in ("train", "test")] == [4, 4]
    assert lines == ["splits inside each class folder: training as train, testing as test"]


def test_a_level_of_equal_folders_is_asked_about(tmp_path: Path) -> None:
    for name in ("fold1", "fold2"):
        some_images(tmp_path / name, ("cat", "dog"))
    says(lambda: folders(tmp_path), "fold1, fold2 all hold the same folders (cat, dog)", "kind")
    assert len(folders(tmp_path, kind="images").split("train")) == 12
    assert folders(tmp_path, kind="clips").of_clips
    lines: list[str] = []
    assert folders(tmp_path, reads_clips=True, say=lines.append).of_clips
    assert "if fold1, fold2 are splits, name them train, val and test" in lines[0]


@pytest.mark.parametrize(
    ("places", "splits", "remark"),
    [
        (("seg_train/seg_train", "seg_test/seg_test"), ["train", "test"], "seg_train as train"),
        (("data/train", "data/test"), ["train", "test"], "the set lies in its folder data"),
        (("x/train/train", "x/valid/valid"), ["train", "validation"], "lies in its folder x"),
        (("train/images", "test/images"), ["train", "test"], "in its folder images"),
        (
            ("archive/data/train", "archive/data/val"),
            ["train", "validation"],
            "folder archive/data",
        ),
        (("a/b/c/d/train", "a/b/c/d/test"), ["train", "test"], "lies in its folder a/b/c/d"),
        (("set/x/train", "set/x/test"), ["train", "test"], "lies in its folder set/x"),
        (("set/set",), ["train"], "the set lies in its folder set/set"),
    ],
)
def test_folders_in_folders(
    tmp_path: Path, places: tuple[str, ...], splits: list[str], remark: str
) -> None:
    """As archives unpack: `seg_train/seg_train` are those of Kaggle's Intel image set."""
    root = tmp_path / "set"
    for place in places:
        some_images(root / place, ("cat", "dog"))
    (root / places[0] / "notes").mkdir()
    lines: list[str] = []
    found = folders(root, say=lines.append)
    assert (found.class_names, list(found.splits)) == (("cat", "dog"), splits)
    assert all(len(split) == 6 for split in found.splits.values())
    assert remark in " ".join(lines)


@pytest.mark.parametrize("place", ["cats/cats", "cats/cats/cats", "cats"])
def test_one_class_that_is_named_as_its_set(tmp_path: Path, place: str) -> None:
    save_png(tmp_path / place / "0.png", np.zeros((6, 5, 1), np.uint8))
    root = tmp_path if place == "cats" else tmp_path / "cats"
    says(lambda: folders(root), "only one class, 'cats'; at least two are needed")


def test_a_class_that_may_be_all_of_them(tmp_path: Path) -> None:
    some_images(tmp_path / "x/y", ("cat", "dog"))
    says(lambda: folders(tmp_path), "only one class, 'x'", "cat, dog", f"to {tmp_path / 'x/y'}")
    some_images(tmp_path, ("x",))
    says(lambda: folders(tmp_path), "only one class, 'x'; at least two are needed")


def test_splits_without_classes_are_called_splits(tmp_path: Path) -> None:
    some_images(tmp_path / "archive/data", ("train", "val"))
    where = tmp_path / "archive/data"
    says(lambda: folders(tmp_path), "if its splits are train, val, set", f"to {where}")


def test_few_pictures_and_black_ones_before_fractions(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(10):
            save_png(tmp_path / name / f"{number}.png", np.zeros((6, 5, 1), np.uint8))
    says(lambda: folders(tmp_path, test_fraction=0.1), "all pixels of all training examples are 0")
    for name in ("a", "b"):
        save_png(tmp_path / name / "9.png", np.full((6, 5, 1), 200, np.uint8))
    says(
        lambda: folders(tmp_path, test_fraction=0.001),
        "config.data.test_fraction: 0.001 of 20 examples (2 different ones: equal ones stay",
    )


def test_groups_of_images_are_no_clips(tmp_path: Path, rng: np.random.Generator) -> None:
    """As torchvision's ImageFolder, which takes the images of a class at any depth."""
    for place in ("cat/farm/tom", "cat/farm/kit", "cat/city/x", "dog/a/rex", "dog/a/bo"):
        save_png(tmp_path / f"{place}.png", rng.integers(0, 256, (6, 5, 3), np.uint8))
    lines: list[str] = []
    found = folders(tmp_path, say=lines.append)
    assert found.input_shape == (6, 5, 3)
    assert [Path(name).stem for name in arrays(found).names] == ["x", "kit", "tom", "bo", "rex"]
    assert arrays(found).labels.tolist() == [0, 0, 0, 1, 1]
    [line] = lines
    assert "groups of single images" in line and "config.data.kind=clips" in line
    assert folders(tmp_path, kind="clips").input_shape == (2, 6, 5, 3)
    assert folders(tmp_path, reads_clips=True).input_shape == (2, 6, 5, 3)


@pytest.mark.parametrize(
    ("files", "of_clips"),
    [
        (["frame1.png", "frame2.png", "frame3.png"], True),
        (["0005.png", "0010.png", "0015.png"], True),
        (["1_a.png", "2_b.png"], False),
        (["IMG_17.png", "IMG_18.png", "IMG_40.png"], False),
        (["frame1.png", "frame2.jpg"], False),
    ],
)
def test_numbered_series_are_clips(
    tmp_path: Path, rng: np.random.Generator, files: list[str], of_clips: bool
) -> None:
    for place in ("a/x", "a/y", "b/z"):
        for name in files:
            save_png(tmp_path / place / name, rng.integers(0, 256, (6, 5, 1), np.uint8))
    lines: list[str] = []
    found = folders(tmp_path, say=lines.append)
    assert found.of_clips == of_clips
    assert ("config.data.kind=images" if of_clips else "config.data.kind=clips") in lines[0]
    assert not folders(tmp_path, kind="images").of_clips


def test_numbered_images_of_different_sizes_are_images(tmp_path: Path) -> None:
    for place in ("a/x", "a/y", "b/z"):
        for number in range(3):
            pixels = np.full((6, 5 + number, 1), 80 * number, np.uint8)
            save_png(tmp_path / place / f"{number}.png", pixels)
    assert folders(tmp_path, size=(6, 6, 1)).input_shape == (6, 6, 1)


def test_images_beside_groups_and_empty_folders(tmp_path: Path) -> None:
    some_images(tmp_path, ("cat", "dog"))
    (tmp_path / "cat/empty").mkdir()
    (tmp_path / "cat/link").symlink_to(tmp_path / "cat")
    assert len(folders(tmp_path).split("train")) == 6
    some_images(tmp_path / "cat", ("more",), count=2)
    assert len(folders(tmp_path).split("train")) == 8


def test_a_gif_of_one_frame_is_what_the_others_are(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    clip = np.repeat(clips_of(rng, 2)[0][:2] // 64 * 64, 1, axis=0)
    save_animation(tmp_path / "a/x.gif", clip[:1])
    save_animation(tmp_path / "b/y.gif", clip[1:])
    assert not folders(tmp_path).of_clips
    assert folders(tmp_path, reads_clips=True).of_clips
    save_png(tmp_path / "b/z.png", clip[0])
    assert not folders(tmp_path).of_clips
    save_animation(tmp_path / "b/z.png", clip)
    assert folders(tmp_path).input_shape[0] == 2
    says(lambda: folders(tmp_path, kind="images"), "z.png", "a clip", "config.data.kind")


def test_an_animation_named_as_a_picture(tmp_path: Path, rng: np.random.Generator) -> None:
    clip = clips_of(rng, 2)[0]
    save_png(tmp_path / "a/x.png", clip[0])
    save_png(tmp_path / "b/y.png", clip[1])
    save_animation(tmp_path / "b/z.gif", clip).rename(tmp_path / "b/z.jpg")
    says(lambda: folders(tmp_path), "z.jpg: a clip of 11 frames among images")


@pytest.mark.parametrize(("suffix", "form"), [
    (".jfif", "JPEG"), (".jpe", "JPEG"), (".avif", "AVIF"), (".JPG", "JPEG"),
])  # fmt: skip
def test_suffixes(tmp_path: Path, suffix: str, form: str) -> None:
    for name, grey in (("a", 50), ("b", 200)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (16, 16), (grey,) * 3).save(tmp_path / name / f"x{suffix}", form)
        for left_out in ("x.psd", "y.psd", "README"):
            (tmp_path / name / left_out).write_bytes(b"x")
    lines: list[str] = []
    found = folders(tmp_path, say=lines.append)
    means = arrays(found).inputs.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [50, 200], atol=2)
    assert "6: 4 .psd, 2 without a suffix" in lines[0]
