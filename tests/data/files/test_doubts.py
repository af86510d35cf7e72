"""Files to predict on that look unlike the training images, and paper in uneven light."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from seqvision.data.files.clips import read_clip
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.images import read_image
from seqvision.data.files.paper_light import levelled
from seqvision.data.files.tones import Tones
from seqvision.inference.inputs import Input, read_inputs
from seqvision.predict import _rows

GREY = (28, 28, 1)


def digit() -> np.ndarray:
    """A 7 of light ink on black, 28 x 28, its ink away from the border."""
    image = Image.new("L", (112, 112))
    ImageDraw.Draw(image).line([(24, 28), (84, 28), (48, 92)], fill=255, width=12)
    return np.asarray(image.resize((28, 28), Image.Resampling.BOX))


def doubt_of(tmp_path: Path, pixels: np.ndarray, tones: Tones, most_cut: float = 0.5) -> str:
    file = tmp_path / "x.png"
    Image.fromarray(pixels).save(file)
    doubts = Doubts((28, 28), most_cut)
    [row] = read_inputs(
        [file], GREY, False, lambda p: read_image(p, GREY, "dark", "auto", tones, doubts),
        doubts=doubts,
    )  # fmt: skip
    assert row.array is not None and doubts.taken() is None
    return row.doubt or ""


@pytest.mark.parametrize("scale", [1, 3, 10])
@pytest.mark.parametrize("dark_ink", [False, True])
def test_ordinary_files_are_not_doubted(tmp_path: Path, scale: int, dark_ink: bool) -> None:
    pixels = np.kron(digit(), np.ones((scale, scale), np.uint8))
    assert doubt_of(tmp_path, 255 - pixels if dark_ink else pixels, Tones()) == ""


def test_other_proportions_and_pages(tmp_path: Path) -> None:
    wide = np.tile(255 - digit(), (1, 5))
    assert "28 x 140" in doubt_of(tmp_path, wide, Tones())
    assert "140 x 28" in doubt_of(tmp_path, np.tile(255 - digit(), (5, 1)), Tones())
    page = np.tile(255 - digit(), (6, 5))
    assert doubt_of(tmp_path, page, Tones()) == "it shows 6 rows of ink, like a page"
    both = doubt_of(tmp_path, np.tile(digit(), (6, 1)), Tones())
    assert "proportions" in both and "6 rows" in both
    # Two digits side by side may be one wide image.
    assert doubt_of(tmp_path, np.tile(digit(), (1, 2)), Tones()) == ""


def test_values_outside_the_range_of_the_run(tmp_path: Path) -> None:
    deep = digit().astype(np.uint16) * 100  # To 25,500; about 15 % of it is ink.
    tones, ink = Tones((0, 4095)), (deep > 4095).mean()
    assert 0.05 < ink < 0.3
    assert doubt_of(tmp_path, deep, tones) == ""
    light = 25500 - deep
    share = f"{(light > 4095).mean():.0%}"
    assert doubt_of(tmp_path, light, tones) == (
        f"{share} of its values (0 to 25500) lie outside 0 to 4095, the range of this run"
    )
    # A range that the user chose may leave out most of what is trained on, but not all.
    assert doubt_of(tmp_path, light, tones, most_cut=1.0) == ""
    with_nothing = Doubts(None, 1.0)
    read_clip(tmp_path / "x.png", GREY, Tones((30000, 40000)), with_nothing)
    assert "100% of its values" in str(with_nothing.taken())


def test_arrays_of_other_proportions(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, images=np.zeros((2, 20, 90), np.uint8))
    rows = read_inputs([file], GREY, False, lambda p: digit(), doubts=Doubts((28, 28)))
    assert ["20 x 90" in str(row.doubt) for row in rows] == [True, True]


RAMPS = {
    "from left to right": lambda x, y: x,
    "from top to bottom": lambda x, y: 1 - y,
    "from corner to corner": lambda x, y: (x + y) / 2,
}


@pytest.mark.parametrize("levels", [10, 40, 80, 150])
@pytest.mark.parametrize("name", RAMPS)
def test_a_gradient_of_the_light_is_levelled(tmp_path: Path, name: str, levels: int) -> None:
    """White paper and black ink reflect the same part of the light: the digit is what it was."""
    y, x = np.mgrid[0:1:28j, 0:1:28j]
    light = 1 - levels / 255 * RAMPS[name](x, y)
    Image.fromarray(((255 - digit()) * light).round().astype(np.uint8)).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", GREY, "dark").astype(int)[..., 0]
    assert np.abs(found - digit()).max() <= 8


@pytest.mark.parametrize("levels", [20, 60])
def test_a_glow_on_dark_paper_is_levelled(tmp_path: Path, levels: int) -> None:
    x = np.linspace(0, levels, 28)
    pixels = np.minimum(digit() * 0.4 + x, 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", GREY, "dark").astype(int)[..., 0]
    assert np.abs(found - digit()).max() <= 6


def test_even_and_unclear_paper_is_left_alone(rng: np.random.Generator) -> None:
    half = np.zeros((28, 28), np.uint8)
    half[:, 14:] = 255
    coat = np.zeros((28, 28), np.uint8)  # As those of Fashion-MNIST, it reaches the border.
    coat[4:, 6:] = 40 + 7 * np.arange(22, dtype=np.uint8)
    for pixels in (
        digit(),
        255 - digit(),
        half,
        coat,
        255 - coat,
        rng.integers(0, 256, (28, 28), np.uint8),
    ):
        image = Image.fromarray(pixels)
        assert levelled(image) is image


def test_rows_name_what_is_doubtful() -> None:
    pixels = digit()
    inputs = [
        Input("a", pixels, None, "it is wide"),
        Input("b", None, "no image"),
        Input("c", pixels, None),
        Input("d", pixels, None),
    ]
    texts = iter(["7", "", "8"])
    rows = _rows(
        inputs,
        lambda arrays: [next(texts) for _ in arrays],
        lambda text: {"text": text},
    )
    assert [(row["text"], row["doubtful"], row["error"]) for row in rows] == [
        ("7", "it is wide", None),
        (None, None, "no image"),
        ("", "nothing was read in it", None),
        ("8", None, None),
    ]
