"""Ink and paper of lines: what was drawn as ink is light, and all else dark."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqvision.data.files.images import read_unscaled
from seqvision.data.files.line_ink import _percentile, _without_margins, check_no_page, inked_line
from seqvision.data.files.opening import UnreadableImageError
from tests.data.test_line_images import load, picture, save, says

INK = picture(3, 24, 90) == 0
RNG = np.random.default_rng(0)


def drawn(paper: float, ink: float, grain: float = 0) -> np.ndarray:
    values = np.where(INK, ink, paper) + RNG.normal(0, grain, INK.shape)
    return values.clip(0, 255).astype(np.uint8)


def specks(pixels: np.ndarray, value: int, count: int = 20) -> np.ndarray:
    places = RNG.choice(np.flatnonzero(~INK.ravel()), count, replace=False)
    pixels.ravel()[places] = value
    return pixels


def with_margins(pixels: np.ndarray, value: int, rows: int = 5, columns: int = 8) -> np.ndarray:
    return np.pad(pixels, ((rows, rows), (columns, columns)), constant_values=value)


def bold(paper: int, ink: int) -> np.ndarray:
    """More ink than paper."""
    pixels = np.full((24, 90), paper, np.uint8)
    pixels[2:-2, 2:-2] = ink
    pixels[:, ::8] = pixels[:, 1::8] = paper
    return pixels


@pytest.mark.parametrize(
    ("pixels", "dark_ink"),
    [
        (drawn(255, 0), True),
        (drawn(0, 255), False),
        (drawn(100, 13), True),  # Dark paper; 87 levels.
        (drawn(100, 13, grain=3), True),
        (drawn(110, 60, grain=2), True),
        (drawn(150, 240), False),  # Light paper, lighter ink.
        (drawn(150, 240, grain=3), False),
        (specks(drawn(110, 20), 255), True),  # Light specks.
        (specks(drawn(90, 15, grain=2), 250, 40), True),
        (specks(drawn(170, 250), 0), False),
        (specks(drawn(220, 30), 0), True),
    ],
)
def test_ink_is_light_and_paper_dark(pixels: np.ndarray, dark_ink: bool) -> None:
    found = inked_line(Image.fromarray(pixels))
    assert found.dark_ink == dark_ink
    line = found.pixels[..., 0]
    assert (line[INK] > 150).mean() > 0.99
    paper = line[~INK]
    assert (paper < 60).mean() > 0.95


@pytest.mark.parametrize(
    ("paper", "ink", "margin"), [(230, 20, 0), (200, 60, 10), (90, 10, 0), (20, 230, 255)]
)
def test_margins_of_a_scan_are_paper(paper: int, ink: int, margin: int) -> None:
    found = inked_line(Image.fromarray(with_margins(drawn(paper, ink, grain=2), margin)))
    line = found.pixels[..., 0]
    assert found.dark_ink == (ink < paper)
    inner = line[5:-5, 8:-8]
    assert (inner[INK] > 200).all() and (inner[~INK] < 60).all()
    line[5:-5, 8:-8] = 0
    assert not line.any()


@pytest.mark.parametrize("pixels", [bold(255, 0), bold(0, 255), drawn(255, 0), drawn(200, 90, 3)])
def test_where_the_border_is_right_it_decides(pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "1.png")
    for invert in ("auto", "always", "never"):
        if invert == "always" and pixels[0, 0] == 0:
            continue
        expected = read_unscaled(tmp_path / "1.png", 1, "dark", invert)
        found = inked_line(Image.fromarray(pixels), invert).pixels
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_line_without_ink(value: int) -> None:
    paper = np.full((24, 90), value, np.uint8)
    noisy = (paper + RNG.normal(0, 2, paper.shape)).clip(0, 255).astype(np.uint8)
    for pixels in (paper, noisy):
        with pytest.raises(UnreadableImageError, match="no ink stands out"):
            inked_line(Image.fromarray(pixels))


def test_a_page_is_none() -> None:
    page = np.zeros((200, 300, 1), np.uint8)
    for row in range(4):
        page[20 + 40 * row : 40 + 40 * row, 20:280:3] = 255
    with pytest.raises(UnreadableImageError, match="4 rows of writing; this run reads single"):
        check_no_page(page)
    check_no_page(page[:140])
    for height in (1, 2):  # Ruled lines, dots.
        ruled = np.zeros((200, 300, 1), np.uint8)
        ruled[80:120, ::5] = 255
        ruled[10::30] = 255
        check_no_page(ruled[::height])


def test_training_names_lines_that_differ_and_lines_without_ink(tmp_path: Path) -> None:
    save(tmp_path, {"1.png": "a", "2.png": "b", "3.png": "c"}, height=24, width=90)
    Image.fromarray(drawn(10, 230)).save(tmp_path / "images" / "2.png")
    said: list[str] = []
    load(tmp_path, say=said.append)
    assert said == [
        f"{tmp_path}: the ink of 1 of 3 lines was taken to be light, unlike that of the others:"
        " 2.png; if that is wrong, set config.lines.invert"
    ]
    as_they_are = load(tmp_path, invert="never", height=24).split("train").arrays["inputs"]
    np.testing.assert_array_equal(as_they_are[1, ..., 0], drawn(10, 230))
    np.testing.assert_array_equal(as_they_are[0, ..., 0], picture(sum(map(ord, "1.png")), 24, 90))
    for name in ("1.png", "3.png"):
        Image.new("L", (90, 24), 200).save(tmp_path / "images" / name)
    says(lambda: load(tmp_path), "1.png: cannot be read (no ink", "; nor can 3.png")


def test_of_lines_that_are_too_long_the_longest_is_named(tmp_path: Path) -> None:
    save(tmp_path, {"a.png": "a", "b.png": "b", "c.png": "c"}, height=32)
    for name, width in {"a.png": 500, "b.png": 700}.items():
        Image.fromarray(picture(1, 32, width)).save(tmp_path / "images" / name)
    says(lambda: load(tmp_path), "b.png: too long: 2 lines are; the longest has 700 columns")


def test_images_in_sub_folders(tmp_path: Path) -> None:
    save(tmp_path, {"1.png": "a"})
    for folder in ("letters", "letters/deep", "é"):
        (tmp_path / "images" / folder).mkdir()
        Image.fromarray(picture(len(folder))).save(tmp_path / "images" / folder / "1.png")
    (tmp_path / "labels.tsv").write_text(
        "1.png\ta\nletters/1.png\tb\n./letters\\deep\\1.png\tc\nimages/e\u0301/1.png\td\n"
    )
    dataset = load(tmp_path)
    names = dataset.split("train").names
    assert list(names) == ["1.png", "letters/1.png", "letters/deep/1.png", "é/1.png"]
    (tmp_path / "labels.tsv").write_text("1.png\ta\n")
    says(lambda: load(tmp_path), "no text for letters/1.png, letters/deep/1.png, é/1.png")


def one_by_one(like_edge: np.ndarray) -> tuple[int, int, int, int]:
    """The rows and columns that are left when one after the other is taken away."""
    top, bottom, left, right = 0, like_edge.shape[0], 0, like_edge.shape[1]
    while bottom - top > 1 and right - left > 1:
        inner = like_edge[top:bottom, left:right]
        ends = [inner[0], inner[-1], inner[:, 0], inner[:, -1]]
        side = next((side for side, end in enumerate(ends) if end.mean() > 0.8), None)
        if side is None:
            break
        top, bottom = top + (side == 0), bottom - (side == 1)
        left, right = left + (side == 2), right - (side == 3)
    return top, bottom, left, right


def test_margins_are_taken_away_as_one_by_one(rng: np.random.Generator) -> None:
    for _ in range(200):
        height, width = rng.integers(2, 30, 2)
        like_edge = rng.random((height, width)) < rng.choice([0.5, 0.8, 0.9])
        like_edge[height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = False
        everything = slice(0, int(height)), slice(0, int(width))
        rows, columns = _without_margins(like_edge, *everything)
        assert (rows.start, rows.stop, columns.start, columns.stop) == one_by_one(like_edge)


def test_percentiles_of_counts(rng: np.random.Generator) -> None:
    for size in (1, 2, 3, 100, 1001):
        pixels = rng.integers(0, 256, size, np.uint8)
        counts = np.bincount(pixels, minlength=256)
        for percent in (0, 1, 37, 50, 99, 100):
            assert _percentile(counts, percent) == np.percentile(pixels, percent)
