"""Images of one's own: their order, their colours, the same in folders and in arrays."""

from pathlib import Path

import numpy as np
import pytest

from seqvision.data.files.paths import natural_key
from tests.data.making import HEIGHT, WIDTH, arrays, assert_equal, folders, npz, save_png


def test_natural_order() -> None:
    names = ["frame10", "frame2", "b", "a10b", "a2b", "frame02", "2", "10", "été", "²"]
    found = sorted(names, key=natural_key)
    assert found == ["2", "10", "a2b", "a10b", "b", "frame02", "frame2", "frame10", "²", "été"]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_folders_and_arrays_are_equal(
    tmp_path: Path, rng: np.random.Generator, channels: int
) -> None:
    images = rng.integers(0, 256, (40, HEIGHT, WIDTH, channels), np.uint8)
    labels = np.arange(40) // 20
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        save_png(tmp_path / "set" / f"{label}" / f"{number}.png", image)
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    for options in ({"validation_fraction": 0.2, "test_fraction": 0.2}, {"size": (28, 28, 0)}):
        found = folders(tmp_path / "set", **options)
        assert_equal(found, npz(tmp_path / "set.npz", **options))
    assert found.input_shape == (28, 28, channels) and not found.of_clips
    assert arrays(found).lengths is None


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_among_colour(tmp_path: Path, rng: np.random.Generator, channels: int) -> None:
    grey = rng.integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8)
    colour = rng.integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    save_png(tmp_path / "a/x.png", grey)
    save_png(tmp_path / "b/x.png", colour)
    found = folders(tmp_path)
    assert found.input_shape[-1] == channels
    np.testing.assert_array_equal(arrays(found).inputs[0], np.repeat(grey, channels, -1))
    assert folders(tmp_path, size=(0, 0, 1)).input_shape == (HEIGHT, WIDTH, 1)
    in_colour = folders(tmp_path, size=(0, 0, 3))
    np.testing.assert_array_equal(arrays(in_colour).inputs[1], np.repeat(colour, 3 // channels, -1))
