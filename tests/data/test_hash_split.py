"""Splits by content: the examples that are held out."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from seqvision.data.dataset import Dataset
from seqvision.data.sources.hash_split import fraction_of, side_of
from tests.data.making import (
    CLASSES,
    arrays,
    assert_equal,
    folders,
    npz,
    save_png,
    says,
    some_images,
)


def test_the_cut_follows_the_content(tmp_path: Path, rng: np.random.Generator) -> None:
    fractions = {"validation_fraction": 0.3, "test_fraction": 0.3}
    images = rng.integers(0, 256, (60, 5, 7, 1), np.uint8)
    for number, image in enumerate(images):
        for name in ("", "copy-of-"):
            save_png(tmp_path / f"{number % 2}" / f"{name}{number}.png", image)

    def sides(dataset: Dataset) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        for split in dataset.splits:
            for image in arrays(dataset, split).inputs:
                assert found.setdefault(image.tobytes(), split) == split
        return found

    before = sides(folders(tmp_path, **fractions))
    assert len(before) == 60 and set(before.values()) == {"train", "validation", "test"}
    for number in range(30):
        save_png(tmp_path / "1" / f"000{number}.png", rng.integers(0, 256, (5, 7, 1), np.uint8))
    after = sides(folders(tmp_path, **fractions))
    assert len(after) == 90 and {image: after[image] for image in before} == before
    # A larger test split takes the old one in.
    grown = sides(folders(tmp_path, **(fractions | {"test_fraction": 0.5})))
    assert all(grown[image] == "test" for image, side in after.items() if side == "test")


def test_fractions(rng: np.random.Generator) -> None:
    frames = rng.integers(0, 256, (4000, 1, 2, 3, 1), np.uint8)
    found = [side_of(fraction_of(f), 0.1, 0.2) for f in frames]
    assert abs(found.count("test") / 4000 - 0.2) < 0.03
    assert abs(found.count("validation") / 4000 - 0.1) < 0.03
    # Grey stored as colour is the same content; other frames, another shape are not.
    one = frames[0]
    assert fraction_of(np.repeat(one, 3, -1)) == fraction_of(one)
    assert len({fraction_of(f) for f in (one, frames[1], one.reshape(1, 3, 2, 1))}) == 3
    # Pinned: a later version must not move anyone's examples.
    assert fraction_of(np.zeros((1, 2, 3, 1), np.uint8)) == pytest.approx(0.97526041644)


@pytest.mark.parametrize("validation", ["val", "validation", "Val"])
def test_given_splits_stay(tmp_path: Path, rng: np.random.Generator, validation: str) -> None:
    counts = {"train": 40, validation: 3, "test": 5}
    images = {s: rng.integers(0, 256, (2, n, 6, 6, 3), np.uint8) for s, n in counts.items()}
    for split, classes in images.items():
        for name, files in zip(CLASSES, classes, strict=True):
            for number, image in enumerate(files):
                save_png(tmp_path / "x" / split / name / f"{number}.png", image)
    every = {"validation_fraction": 0.2, "test_fraction": 0.2}
    found = folders(tmp_path / "x", **every)
    sizes = {split: len(found.split(split)) for split in found.splits}
    assert sizes == {"train": 80, "validation": 6, "test": 10}
    saved = {}
    for split, classes in images.items():
        saved[f"{split.lower()}_images"] = classes.reshape(-1, 6, 6, 3)
        saved[f"{split.lower()}_labels"] = np.repeat(CLASSES, len(classes[0]))
    np.savez(tmp_path / "x.npz", **saved)
    assert_equal(found, npz(tmp_path / "x.npz", **every))

    shutil.rmtree(tmp_path / "x" / validation)
    found = folders(tmp_path / "x", **every)
    assert len(found.split("test")) == 10  # Cut from train: validation alone.
    assert len(found.split("train")) + len(found.split("validation")) == 80
    shutil.rmtree(tmp_path / "x" / "test")
    assert list(folders(tmp_path / "x", validation_fraction=0.2).splits) == ["train", "validation"]
    assert list(folders(tmp_path / "x", **every).splits) == ["train", "validation", "test"]


def test_an_empty_side(tmp_path: Path) -> None:
    some_images(tmp_path)
    for split in ("validation", "test"):
        call = lambda: folders(tmp_path, **{f"{split}_fraction": 1e-6})  # noqa: B023, E731
        says(call, f"config.data.{split}_fraction", "of 6 examples", f"none for {split}")
    says(lambda: folders(tmp_path, test_fraction=1.0), "no training examples")
