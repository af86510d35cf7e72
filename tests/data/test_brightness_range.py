"""Training images that use a fraction of 0 to 255 are named; those of one value are refused."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from seqvision.data.files.tones import Tones
from tests.data.making import arrays, clips_of, npz, save_npz, save_png, says
from tests.data.making import folders as load


def saved(path: Path, images: np.ndarray) -> Path:
    np.savez(path, images=images.astype(np.uint8), labels=np.arange(len(images)) % 2)
    return path


@pytest.mark.parametrize(
    ("low", "high", "formula"),
    [
        (0, 1, "np.round(images * (255 / 1))"),
        (0, 16, "np.round(images * (255 / 16))"),
        (0, 63, "np.round(images * (255 / 63))"),
        (100, 120, "np.round((images - 100) * (255 / 20))"),
        (0, 64, ""),
        (0, 255, ""),
    ],
)
@pytest.mark.parametrize("resident_bytes", [2**30, 10])
def test_a_fraction_of_the_range_is_said(
    tmp_path: Path, low: int, high: int, formula: str, resident_bytes: int
) -> None:
    images = np.linspace(low, high, 8 * 30).reshape(8, 6, 5)
    path = saved(tmp_path / "x.npz", images)
    lines: list[str] = []
    found = npz(path, say=lines.append, resident_bytes=resident_bytes)
    assert found.is_streamed == (resident_bytes == 10)
    # What the network sees does not change.
    read = found.split("train").read(np.arange(8, dtype=np.int32))
    np.testing.assert_array_equal(read["inputs"][..., 0], images.astype(np.uint8))
    if not formula:
        assert not lines
        return
    [line] = lines
    assert f"{low} to {high}" in line and formula in line
    scaled = saved(tmp_path / "y.npz", eval(formula, {"np": np, "images": images.astype(np.uint8)}))
    assert arrays(npz(scaled, say=lines.append)).inputs.max() == 255
    assert len(lines) == 1


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_all_equal_is_refused(tmp_path: Path, value: int) -> None:
    says(lambda: npz(saved(tmp_path / "x.npz", np.full((4, 6, 5), value))), f"are {value}, so")
    for place in ("a/1", "b/1"):
        save_png(tmp_path / "set" / f"{place}.png", np.full((6, 5, 1), value, np.uint8))
    says(lambda: load(tmp_path / "set"), "all pixels", f"are {value}, so there is nothing to learn")


def test_padding_of_clips_is_no_pixel(tmp_path: Path, rng: np.random.Generator) -> None:
    clips = [np.full_like(clip, 200) for clip in clips_of(rng, 4)]
    save_npz(tmp_path / "x.npz", clips, [0, 1, 0, 1])
    says(lambda: npz(tmp_path / "x.npz"), "are 200, so")


def test_a_range_that_leaves_all_black_is_named_beside_the_values(tmp_path: Path) -> None:
    images = np.linspace(-50, 60, 8 * 240).reshape(8, 16, 15).astype(np.float32)
    for infinite in (False, True):
        if infinite:
            images[3, 2, 1] = np.inf
        np.savez(tmp_path / "x.npz", images=images, labels=np.arange(8) % 2)
        for number, image in enumerate(images):
            place = tmp_path / "set" / "ab"[number % 2] / f"{number}.npy"
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, image)
        words = "(black): config.data.value_range reads 5000 to 6000 as black to white; the"
        words += " training values are -50 to 60; choose a range that these fill"
        tones = Tones((5000.0, 6000.0))
        for read, path in ((npz, tmp_path / "x.npz"), (load, tmp_path / "set")):
            if not infinite:
                says(partial(read, path, tones=tones), f"all training pixels are 0 {words}")
                continue
            lines: list[str] = []
            read(path, say=lines.append, tones=tones)
            assert any(f": 99.94 % of the training pixels are 0 {words}" in line for line in lines)


def test_deep_pictures_are_to_have_another_range(tmp_path: Path) -> None:
    images = np.linspace(1000, 1100, 8 * 30).reshape(8, 6, 5).astype(np.uint16)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(8) % 2)
    lines: list[str] = []
    npz(tmp_path / "x.npz", say=lines.append, tones=Tones((0.0, 4000.0)))
    [line] = [line for line in lines if "hard to learn from" in line]
    assert line.endswith("choose a narrower config.data.value_range") and "64 to 70" in line
