"""The user's images: any size, colour, depth and polarity."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from seqvision.data.files.images import background_of, read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.sources.idx import read_idx

GREY, COLOUR = (28, 28, 1), (32, 32, 3)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """MNIST's test images, (10000, 28, 28, 1)."""
    return read_idx(Path("seqvision/data/mnist/t10k-images-idx3-ubyte.gz"))[..., None]


@pytest.fixture
def digit(digits: np.ndarray) -> np.ndarray:
    return digits[0]


def saved(tmp_path: Path, image: Image.Image, name: str = "x.png", **options: Any) -> Path:
    image.save(tmp_path / name, **options)
    return tmp_path / name


def as_image(digit: np.ndarray) -> Image.Image:
    return Image.fromarray(digit[..., 0])


def test_an_image_of_the_training_kind_is_unchanged(tmp_path: Path, digit: np.ndarray) -> None:
    path = saved(tmp_path, as_image(digit))
    np.testing.assert_array_equal(read_image(path, GREY, "dark"), digit)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_every_mode_reads_alike(tmp_path: Path, digit: np.ndarray, mode: str) -> None:
    image = as_image(digit)
    if mode == "I;16":
        image = Image.fromarray(digit[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    path = saved(tmp_path, image, "x.tif" if mode == "CMYK" else "x.png")
    np.testing.assert_allclose(read_image(path, GREY, "dark"), digit, atol=2)


def test_dark_on_light_is_inverted_by_itself_or_by_flag(tmp_path: Path, digit: np.ndarray) -> None:
    path = saved(tmp_path, ImageOps.invert(as_image(digit)))
    np.testing.assert_array_equal(read_image(path, GREY, "dark"), digit)
    np.testing.assert_array_equal(read_image(path, GREY, "dark", "always"), digit)
    np.testing.assert_array_equal(read_image(path, GREY, "dark", "never"), 255 - digit)
    # Photographs have no background: auto leaves them alone.
    np.testing.assert_array_equal(read_image(path, GREY, "mixed"), 255 - digit)
    np.testing.assert_array_equal(read_image(path, GREY, "light"), 255 - digit)


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_nothing_lies_on_what_shows_it(tmp_path: Path, digit: np.ndarray, ink: int) -> None:
    image = Image.merge("LA", (Image.new("L", (28, 28), ink), as_image(digit)))
    np.testing.assert_allclose(read_image(saved(tmp_path, image), GREY, "dark"), digit, atol=1)


@pytest.mark.parametrize(("paper", "ink"), [(250, 40), (220, 40), (200, 80), (90, 250), (20, 140)])
def test_grey_paper_and_pale_ink_get_full_contrast(
    tmp_path: Path, digit: np.ndarray, paper: int, ink: int
) -> None:
    shade = (paper + (ink - paper) * (digit[..., 0] / 255.0)).round().astype(np.uint8)
    result = read_image(saved(tmp_path, Image.fromarray(shade)), GREY, "dark")
    np.testing.assert_allclose(result, digit * (255 / digit.max()), atol=3)
    light = read_image(saved(tmp_path, Image.fromarray(shade)), GREY, "light")
    np.testing.assert_allclose(light, 255 - digit * (255 / digit.max()), atol=3)


def test_grain_of_the_paper_is_not_ink(
    tmp_path: Path, digit: np.ndarray, rng: np.random.Generator
) -> None:
    shade = 220 - 180 * (digit[..., 0] / 255.0) + rng.normal(size=(28, 28)) * 4
    image = Image.fromarray(shade.round().clip(0, 255).astype(np.uint8))
    result = read_image(saved(tmp_path, image), GREY, "dark").astype(int)
    assert np.abs(result - digit).max() < 40
    assert (result[digit == 0] <= 5).mean() > 0.95


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_a_blank_image_is_an_error(tmp_path: Path, brightness: int) -> None:
    path = saved(tmp_path, Image.new("L", (40, 40), brightness))
    with pytest.raises(UnreadableImageError, match="blank"):
        read_image(path, GREY, "dark")


@pytest.mark.parametrize("scale", [1 / 255, 1.0, 16.0, 257.0])
def test_deep_images_are_scaled_not_clipped(
    tmp_path: Path, digit: np.ndarray, scale: float
) -> None:
    path = saved(tmp_path, Image.fromarray((digit[..., 0] * scale).astype(np.float32)), "x.tif")
    np.testing.assert_allclose(read_image(path, GREY, "dark"), digit, atol=2)


@pytest.mark.parametrize("size", [(56, 56), (300, 300), (7, 7), (60, 30), (1000, 3)])
def test_any_size_fits_with_its_proportions(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("L", size, 0)
    image.paste(255, (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4))
    result = read_image(saved(tmp_path, image), GREY, "dark")
    assert result.shape == GREY
    if size == (60, 30):
        rows, columns = np.nonzero(result[..., 0] > 127)
        assert columns.max() - columns.min() + 1 == 14
        assert rows.max() - rows.min() + 1 == 7
        assert (result[:6] == 0).all()


def test_colour_is_kept_where_the_network_reads_colour(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (64, 64), (200, 30, 90)))
    assert (read_image(path, COLOUR, "mixed") == [200, 30, 90]).all()


def test_a_camera_turned_on_its_side(tmp_path: Path, digit: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: show it rotated by 90 degrees clockwise.
    turned = as_image(digit).rotate(90)
    path = saved(tmp_path, turned, "x.png", exif=exif)
    np.testing.assert_array_equal(read_image(path, GREY, "dark"), digit)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", None])
def test_unreadable_files(tmp_path: Path, content: bytes | None, digit: np.ndarray) -> None:
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableImageError) as error:
        read_image(path, GREY, "dark")
    assert str(error.value)
    whole = saved(tmp_path, as_image(digit), "whole.png").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImageError):
        read_image(path, GREY, "dark")


def test_background(digits: np.ndarray, rng: np.random.Generator) -> None:
    assert background_of(digits) == "dark"
    assert background_of(255 - digits[:100]) == "light"
    assert background_of(rng.integers(0, 256, (10, 8, 8, 3), np.uint8)) == "mixed"
