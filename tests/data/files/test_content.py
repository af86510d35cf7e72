"""Splits of deep and transparent pictures: they follow what the files hold, not the set's tones."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqvision.data.dataset import Dataset
from seqvision.data.files.clips import read_clip, read_frames
from seqvision.data.files.content import Content
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.images import read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.data.sources.hash_split import fraction_of
from seqvision.errors import UserError
from seqvision.inference.inputs import read_inputs
from tests.data.making import folders, save_video

HALVES = {"validation_fraction": 0.3, "test_fraction": 0.3}


def sides(folder: Path, **options: Any) -> dict[str, str]:
    """The split of each file."""
    dataset = folders(folder, **HALVES, **options)
    return {Path(name).name: split for split in dataset.splits for name in names(dataset, split)}


def names(dataset: Dataset, split: str) -> tuple[str, ...]:
    return dataset.split(split).names or ()


def fraction(path: Path, tones: Tones = FILE_BY_FILE) -> float:
    content = Content()
    return fraction_of(read_frames(path, (0, 0), tones, None, content), content)


def picture(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    if kind == "transparent":
        return rng.integers(100, 256, (4, 4, 4), np.uint8), ".png"
    if kind == "floats":
        return rng.random((4, 4), np.float32), ".tif"
    return rng.integers(0, 3000, (4, 4)).astype({"16 bits": "uint16"}.get(kind, "int32")), ".tif"


@pytest.mark.parametrize("kind", ["16 bits", "int32", "floats", "transparent"])
def test_splits_are_those_of_the_content(
    tmp_path: Path, rng: np.random.Generator, kind: str
) -> None:
    for number in range(24):
        pixels, suffix = picture(kind, rng)
        for name in ("", "copy-"):
            file = tmp_path / "ab"[number % 2] / f"{name}{number}{suffix}"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(file)
    before = sides(tmp_path)
    assert set(before.values()) == {"train", "validation", "test"}
    assert all(before[f"copy-{n}{suffix}"] == before[f"{n}{suffix}"] for n in range(24))
    unit = 1 if kind == "floats" else 3000
    for stated in (Tones((0, unit / 2), "white"), Tones((-unit, unit * 3), "black")):
        assert sides(tmp_path, tones=stated) == before
        streamed = sides(tmp_path, tones=stated, resident_bytes=64, size=(4, 4, 3))
        assert streamed == before
    wide = np.full((4, 4, 4), (0, 0, 0, 200), np.uint8) if kind == "transparent" else pixels * 9
    for number in range(3):
        Image.fromarray(wide + np.asarray(number, wide.dtype)).save(
            tmp_path / "a" / f"new{number}{suffix}"
        )
    after = sides(tmp_path)
    assert {name: after[name] for name in before} == before and len(after) == len(before) + 3


def test_the_hash_is_of_what_was_decoded(tmp_path: Path) -> None:
    values = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000
    found = set()
    for suffix, dtype in ((".png", "uint16"), (".tif", "uint16"), (".tiff", "float32")):
        Image.fromarray(values.astype(dtype)).save(tmp_path / f"x{suffix}")
        found |= {fraction(tmp_path / f"x{suffix}", Tones(r)) for r in (None, (0, 9), (0, 65535))}
    by_hand = hashlib.sha256(repr(("deep", (4, 4, 1), True)).encode())
    by_hand.update(values.astype("<f8").tobytes())
    assert found == {int(by_hand.hexdigest()[:12], 16) / 2**48}
    # Eight bits, opaque or not, are hashed as each file alone is read, as ever.
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    clear = np.dstack([grey, grey, grey, np.full((4, 4), 128, np.uint8)])
    for pixels in (grey, clear, np.dstack([clear[..., :3], np.full((4, 4), 255, np.uint8)])):
        Image.fromarray(pixels).save(tmp_path / "8.png")
        alone = fraction_of(read_frames(tmp_path / "8.png"))
        papers = ("", "white", "black")
        assert {fraction(tmp_path / "8.png", Tones((0, 9), paper)) for paper in papers} == {alone}


def test_different_ones_are_counted_as_decoded(tmp_path: Path) -> None:
    for number in range(12):
        file = tmp_path / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        values = np.full((4, 4), 1000 + number % 9, np.uint16)  # 9 different ones.
        values[0, 0] = 0
        Image.fromarray(values).save(file)
    with pytest.raises(UserError, match=r"12 examples \(9 different ones"):
        folders(tmp_path, test_fraction=1e-9, tones=Tones((0, 65535)))
    # A range that makes all of them one value is named.
    with pytest.raises(UserError, match=r"all training pixels are 0 .* values are 0 to 1008"):
        folders(tmp_path, tones=Tones((60000, 65535)))


@pytest.mark.parametrize(
    "values", [(np.nan,) * 4, (np.inf,) * 4, (np.nan, np.inf, -np.inf, np.nan)]
)
def test_no_finite_value(tmp_path: Path, values: tuple[float, ...]) -> None:
    for name, row in (("a/0", values), ("b/0", (0, 0.2, 0.9, np.nan)), ("a/1", (0, 1, np.inf, 0))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.array([row] * 4, np.float32)).save(tmp_path / f"{name}.tif")
    for read in (lambda p: read_clip(p, (4, 4, 1)), lambda p: read_image(p, (4, 4, 1), "mixed")):
        with pytest.raises(UnreadableImageError, match="it has no finite value"):
            read(tmp_path / "a" / "0.tif")
        read(tmp_path / "b" / "0.tif")
    with pytest.raises(UserError, match=r"0\.tif: cannot be read \(it has no finite value"):
        folders(tmp_path)
    dataset = folders(tmp_path, broken_files="skip")
    assert len(names(dataset, "train")) == 2 and dataset.tones.value_range == (0, 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("level", [0, 7, 255])
def test_equal_pixels_and_eight_bits_are_doubted(tmp_path: Path, level: int, dtype: str) -> None:
    file, doubts = tmp_path / "x.png", Doubts()
    pixels = np.full((4, 4), level, dtype)
    equal = "all of its pixels are equal"
    shallow = (
        "it has 8 bits a value, and this run reads deep pictures: its 0 to 255 are taken for 0 to"
        " 4095; "
    ) * (dtype == "uint8")
    for picture, flat in ((pixels, True), (pixels ^ 128 * np.eye(4, dtype=dtype), False)):
        Image.fromarray(picture).save(file)
        for read in (
            lambda tones: read_clip(file, (4, 4, 1), tones, doubts),
            lambda tones: read_image(file, (4, 4, 1), "mixed", "auto", tones, doubts),
        ):
            read(Tones())
            assert doubts.taken() == (equal if flat else None)
            read(Tones((0, 4095)))
            expected = shallow + equal if flat else shallow.removesuffix("; ")
            assert (doubts.taken() or "") == expected


@pytest.mark.parametrize("flat", [False, True])
def test_arrays_and_videos_are_doubted_alike(tmp_path: Path, flat: bool) -> None:
    clip = np.full((3, 16, 16, 3), 9, np.uint8)
    clip[:, :8] += 90 * (not flat)
    np.savez(tmp_path / "x.npz", images=clip)
    inputs = {False: tmp_path / "x.npz", True: save_video(tmp_path / "x.mkv", clip)}
    said = "it has 8 bits a value, and this run reads deep pictures: its 0 to 255 are"
    for of_clips, file in inputs.items():
        for tones, start in ((Tones(), ""), (Tones((0, 1)), f"{said} taken for 0 to 1")):
            expected = "; ".join(filter(None, (start, "all of its pixels are equal" * flat)))
            rows = list(
                read_inputs([file], (16, 16, 3), of_clips, lambda p: pytest.fail(""), tones=tones)
            )
            assert len(rows) == (1 if of_clips else 3)
            assert all((row.doubt or "") == expected for row in rows)
