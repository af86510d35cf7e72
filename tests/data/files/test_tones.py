"""Deep and transparent pictures: one scale and one paper for a whole set, in training and later."""

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqvision.data.dataset import Dataset
from seqvision.data.files import tones
from seqvision.data.files.clips import read_clip
from seqvision.data.files.images import read_image
from seqvision.data.files.tones import Tones
from seqvision.runs.data_facts import DataFacts
from tests.data.making import folders


def save(path: Path, values: np.ndarray) -> Path:
    """A PNG of uint16, or a TIFF of int32 or float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def flat(*values: float, dtype: str = "uint16") -> np.ndarray:
    """4 x 4 pixels: these values, then the first one."""
    return np.array([*values, *[values[0]] * (16 - len(values))], dtype).reshape(4, 4)


def first_pixels(dataset: Dataset, number: int = 4) -> list[list[int]]:
    """Of each training picture."""
    inputs = dataset.split("train").read(np.arange(len(dataset.split("train")), dtype=np.int32))
    return inputs["inputs"].reshape(len(inputs["inputs"]), -1)[:, :number].tolist()


def two_classes(folder: Path, suffix: str, *pictures: np.ndarray, **options: Any) -> Dataset:
    """The pictures in turn as classes a and b."""
    for number, picture in enumerate(pictures):
        save(folder / "ab"[number % 2] / f"{number}{suffix}", picture)
    return folders(folder, **options)


# Values and what they are read as, by hand: 255 (v - low) / (high - low), rounded.
SETS: dict[str, tuple[str, str, list[tuple[float, ...]], list[list[int]]]] = {
    # 6000 is less than half of 14 bits: the largest value is white.
    "an object of 2000 mm": (
        ".png", "uint16", [(0, 2000, 3000), (0, 2000, 6000)], [[0, 85, 128], [0, 85, 255]],
    ),
    "classes of other maxima": (
        ".png", "uint16", [(0, 2000, 4000), (0, 2000, 5000)], [[0, 102, 204], [0, 102, 255]],
    ),
    "12 bits": (".png", "uint16", [(0, 1000, 4000), (0, 1000, 3)], [[0, 62, 249], [0, 62, 0]]),
    "16 bits and a dark frame": (
        ".png", "uint16", [(0, 257, 65535), (0, 1, 1)], [[0, 1, 255], [0, 0, 0]],
    ),
    "floats to 1": (
        ".tif", "float32", [(0, 0.25, 0.98), (0, 0.25, 0.5)], [[0, 64, 250], [0, 64, 128]],
    ),
    "floats to a little more": (
        ".tif", "float32", [(0, 0.51, 1.02), (0, 0.51, 1.0)], [[0, 128, 255], [0, 128, 250]],
    ),
    # Signed values are shifted, not cut.
    "Hounsfield units": (
        ".tif", "int32", [(-1000, 0, 1000), (-1000, 500, -500)], [[0, 128, 255], [0, 191, 64]],
    ),
    "an infinite pixel": (
        ".tif", "float32", [(0, 0.5, np.inf), (0, np.nan, 1.0)], [[0, 128, 255], [0, 0, 255]],
    ),
}  # fmt: skip


def recorded(facts: DataFacts) -> DataFacts:
    """As the next start reads them."""
    return DataFacts.from_json(json.loads(json.dumps(dataclasses.asdict(facts))))


@pytest.mark.parametrize("name", SETS)
def test_equal_values_are_equal_in_all_pictures(tmp_path: Path, name: str) -> None:
    suffix, dtype, pictures, expected = SETS[name]
    dataset = two_classes(tmp_path / "set", suffix, *[flat(*p, dtype=dtype) for p in pictures])
    assert first_pixels(dataset, 3) == expected
    # And in prediction, also of one picture alone, from the run's own record.
    facts = recorded(DataFacts("own", "1", (4, 4, 1), ("a", "b"), "mixed", {}, dataset.tones))
    assert facts.tones == dataset.tones
    for number, row in enumerate(expected):
        file = tmp_path / "set" / "ab"[number] / f"{number}{suffix}"
        image = read_image(file, (4, 4, 1), "mixed", "auto", facts.tones)
        assert image.ravel()[:3].tolist() == row
        assert read_clip(file, (4, 4, 1), facts.tones).ravel()[:3].tolist() == row


def test_a_ramp_keeps_its_levels(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1.02, 256, dtype=np.float32).reshape(16, 16)
    dataset = two_classes(tmp_path, ".tif", ramp, ramp)
    assert first_pixels(dataset, 256)[0] == list(range(256))


@pytest.mark.parametrize("at_once", [1, 7, 2**20])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
def test_rows_scaled_one_after_the_other(
    dtype: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand in whole numbers: 255 v / 4095, its half added, rounded down."""
    monkeypatch.setattr(tones, "_CHUNK", at_once)
    values = np.arange(0, 4096, 91).reshape(23, -1)
    found = tones.as_bytes(values.astype(dtype), (0.0, 4095.0))
    np.testing.assert_array_equal(found, (values * 510 + 4095) // 8190)


def test_the_training_split_decides_and_a_stated_range_counts_more(tmp_path: Path) -> None:
    for split, largest in (("train", 3000), ("test", 60000)):
        for name in "ab":
            save(tmp_path / split / name / "0.png", flat(0, 1000, largest))
    dataset = folders(tmp_path)
    assert dataset.tones.value_range == (0, 4095)
    found = dataset.split("test").read(np.zeros(1, np.int32))["inputs"].ravel()
    assert found[:3].tolist() == [0, 62, 255]
    stated = folders(tmp_path, tones=Tones((500, 1500)))
    assert first_pixels(stated, 3)[0] == [0, 128, 255]


def test_what_is_stated_counts_where_no_training_picture_needs_it(tmp_path: Path) -> None:
    ordinary, deep = flat(0, 7, 200, dtype="uint8"), flat(0, 2000, 65535)
    for split, picture in (("train", ordinary), ("test", deep)):
        for name in "ab":
            save(tmp_path / split / name / "0.png", picture)
    stated = Tones((0, 65535), "black")
    dataset = folders(tmp_path, tones=stated)
    assert dataset.tones == stated
    found = dataset.split("test").read(np.zeros(1, np.int32))["inputs"].ravel()
    assert found[:3].tolist() == [0, 8, 255]


@pytest.mark.parametrize(
    "damaged",
    [
        {"value_range": [1], "paper": ""},
        {"value_range": ["0", "9"], "paper": ""},
        {"value_range": [9, 0], "paper": ""},
        {"value_range": 3, "paper": ""},
        {"value_range": None, "paper": "purple"},
        {"value_range": None},
    ],
)
def test_damaged_tones(damaged: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Tones.from_json(damaged)


def test_it_is_kept_for_the_next_start(tmp_path: Path) -> None:
    options = {"cache_dir": tmp_path / "cache"}
    first = two_classes(tmp_path / "set", ".png", flat(0, 7, 900), flat(0, 7, 800), **options)
    again = folders(tmp_path / "set", **options)
    assert first.tones == again.tones == Tones((0, 1023))
    assert first_pixels(first) == first_pixels(again)


def test_deep_and_ordinary_files_are_named(tmp_path: Path) -> None:
    options: dict[str, Any] = {"cache_dir": tmp_path / "cache"}
    pictures = [flat(0, 7, 900), flat(0, 7, 200, dtype="uint8")]
    for _ in range(2):  # At each start.
        said: list[str] = []
        two_classes(tmp_path / "set", ".png", *pictures, say=said.append, **options)
        assert any("1 files have more than 8 bits a value" in line for line in said)


def test_runs_of_earlier_versions_have_none() -> None:
    facts = dataclasses.asdict(DataFacts("own", "1", (4, 4, 1), ("a", "b"), "mixed", {}))
    del facts["tones"]
    assert DataFacts.from_json(facts).tones == Tones()


def test_ordinary_pictures_have_no_tones(tmp_path: Path) -> None:
    pictures = [flat(0, 7, 200, dtype="uint8"), flat(0, 9, 100, dtype="uint8")]
    dataset = two_classes(tmp_path, ".png", *pictures)
    assert dataset.tones == Tones() and str(dataset.tones) == ""
    assert first_pixels(dataset, 3) == [[0, 7, 200], [0, 9, 100]]


def white_is_zero(values: np.ndarray) -> bytes:
    """A TIFF of uint16 with PhotometricInterpretation 0 (TIFF 6.0, section 4)."""
    height, width = values.shape
    pixels = values.astype("<u2").tobytes()
    tags = [
        (256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, 0),
        (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(pixels)),
    ]  # fmt: skip
    fields = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    return head + pixels + struct.pack("<H", len(tags)) + fields + bytes(4)


def test_a_deep_tiff_whose_zero_is_white(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(white_is_zero(flat(0, 65535, 32768)))
    tones = Tones((0, 65535))
    assert read_clip(file, (4, 4, 1), tones).ravel()[:3].tolist() == [255, 0, 127]
    assert read_image(file, (4, 4, 1), "mixed", "never", tones).ravel()[:3].tolist() == [
        255, 0, 127,
    ]  # fmt: skip


def transparent(grey: int) -> np.ndarray:
    """One opaque pixel, the others of a hidden colour."""
    picture = np.full((4, 4, 4), (90, 90, 90, 0), np.uint8)
    picture[0, 0] = (grey, grey, grey, 255)
    return picture


@pytest.mark.parametrize(
    ("greys", "stated", "paper"),
    [
        ((10, 200, 20), "", 255),  # Most ink is dark: white, also below the light one.
        ((250, 100, 240), "", 0),
        ((250, 100, 240), "white", 255),
        ((10, 20, 30), "black", 0),
    ],
)
def test_one_paper_for_all(tmp_path: Path, greys: Any, stated: str, paper: int) -> None:
    dataset = two_classes(tmp_path, ".png", *map(transparent, greys), tones=Tones(None, stated))
    assert sorted(first_pixels(dataset, 2)) == sorted([grey, paper] for grey in greys)
    assert dataset.tones.paper == ("white" if paper else "black")
    for number, grey in enumerate(greys):
        file = tmp_path / "ab"[number % 2] / f"{number}.png"
        for found in (
            read_image(file, (4, 4, 1), "mixed", "auto", dataset.tones),
            read_clip(file, (4, 4, 1), dataset.tones),
        ):
            assert found.ravel()[:2].tolist() == [grey, paper]


def test_files_are_opened_once_beside_their_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    open_image = Image.open
    monkeypatch.setattr(
        Image, "open", lambda path, **k: opened.append(path) or open_image(path, **k)
    )
    pictures = [flat(0, 7 + n, 200, dtype="uint8") for n in range(6)]
    two_classes(tmp_path / "set", ".png", *pictures)
    assert len(opened) == 2 * len(pictures)
    opened.clear()
    folders(tmp_path / "set")
    assert len(opened) == len(pictures)
