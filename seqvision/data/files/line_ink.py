"""Ink and paper of a line of writing, told apart by all its pixels, not by its border alone."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from seqvision.data.files.images import toned
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.pixels import border
from seqvision.data.files.writing_rows import PAGE_ROWS, num_rows_of_writing

Values = Float64[np.ndarray, "height width"]

_LEAST_CONTRAST = 16
# Of the whole range of a line: brightness as far apart as that is paper and ink.
_FAR = 0.25
# Rows and columns of which so much is alike are margins of the scan.
_MARGIN = 0.8
# Within margins, so much of a line is paper, and so much of its own border.
_PAPER, _FRAME = 0.6, 0.9
_NO_INK = 0.995
# Ink on the other side of the paper's brightness than the border says needs so many times its mass.
_EVIDENCE = 1.5


class InkedLine(NamedTuple):
    """A line as (height, width, 1) uint8, light ink on dark, and whether its own ink is dark."""

    pixels: UInt8[np.ndarray, "height width 1"]
    dark_ink: bool


class _Paper(NamedTuple):
    """Brightness of the paper and its grain, and the rows and columns that are no margin."""

    brightness: float
    grain: float
    rows: slice
    columns: slice


def inked_line(image: Image.Image, invert: str = "auto") -> InkedLine:
    """Light ink on dark paper, with full contrast.

    Paper is what most of a line is like. Where ink is darker or lighter than it is decided by all
    pixels that stand out: specks weigh little, and dark margins of a scan are taken for paper.
    Where the border says the same, the result is that of `images.toned`.

    Args:
      image: grey.
      invert: `always`, `never` (brightness is left alone), or `auto`: where ink is dark.

    Raises:
      UnreadableImageError: no ink stands out.
    """
    values = np.asarray(image, np.float64)
    by_border = bool(np.median(border(values[None])) > 127.5)
    if invert == "never":
        return InkedLine(toned(image, "dark", invert), False)
    paper = _paper_of(values)
    dark_ink = True if invert == "always" else _has_dark_ink(values, paper, by_border)
    has_margins = values[paper.rows, paper.columns].shape != values.shape
    if not has_margins and dark_ink == by_border:
        try:
            return InkedLine(toned(image, "dark", invert), dark_ink)
        except UnreadableImageError:
            pass  # Its border is no paper, perhaps.
    elif invert == "always" and not has_margins:
        return InkedLine(toned(image, "dark", invert), dark_ink)
    return InkedLine(_stretched(values, paper, dark_ink), dark_ink)


def check_no_page(pixels: np.ndarray) -> None:
    """Raises UnreadableImageError where a picture shows a page, not a line."""
    if (rows := num_rows_of_writing(pixels)) >= PAGE_ROWS:
        raise UnreadableImageError(
            f"it shows {rows} rows of writing; this run reads single lines: cut it into lines"
        )


def _paper_of(values: Values) -> _Paper:
    edge = border(values[None])
    around, everything = np.median(edge), (slice(0, values.shape[0]), slice(0, values.shape[1]))
    low, high = np.percentile(values, (1, 99))
    far = max(_FAR * (high - low), _LEAST_CONTRAST)
    rows, columns = _without_margins(np.abs(values - around) < far, *everything)
    inner = values[rows, columns]
    if inner.size >= values.size / 4:
        most = np.median(inner)
        is_like = np.abs(inner - most) < far
        sides = (is_like[0], is_like[-1], is_like[:, 0], is_like[:, -1])
        # Where nothing stands out within, it is a letter such as a dash.
        has_margins = abs(most - around) > far and _PAPER < is_like.mean() < _NO_INK
        if has_margins and all(side.mean() > _FRAME for side in sides):
            return _Paper(float(most), _grain(inner, most), rows, columns)
    return _Paper(float(around), _grain(edge, around), *everything)


def _without_margins(like_edge: np.ndarray, rows: slice, columns: slice) -> tuple[slice, slice]:
    """What is left when rows and columns at the border that are like it are taken away."""
    top, bottom, left, right = rows.start, rows.stop, columns.start, columns.stop
    while bottom - top > 1 and right - left > 1:
        inner = like_edge[top:bottom, left:right]
        if inner[0].mean() > _MARGIN:
            top += 1
        elif inner[-1].mean() > _MARGIN:
            bottom -= 1
        elif inner[:, 0].mean() > _MARGIN:
            left += 1
        elif inner[:, -1].mean() > _MARGIN:
            right -= 1
        else:
            break
    return slice(top, bottom), slice(left, right)


def _grain(values: np.ndarray, paper: float) -> float:
    """Three standard deviations, from the median absolute deviation."""
    return float(3 * 1.4826 * np.median(np.abs(values - paper)))


def _has_dark_ink(values: Values, paper: _Paper, by_border: bool) -> bool:
    inner = values[paper.rows, paper.columns] - paper.brightness
    least = paper.grain + _LEAST_CONTRAST / 2
    dark, light = np.maximum(-inner - least, 0).sum(), np.maximum(inner - least, 0).sum()
    if inner.shape != values.shape:
        return bool(dark >= light)
    return bool(dark * _EVIDENCE >= light) if by_border else bool(dark > _EVIDENCE * light)


def _stretched(values: Values, paper: _Paper, dark_ink: bool) -> np.ndarray:
    above = (values - paper.brightness) * (-1 if dark_ink else 1)
    inner = above[paper.rows, paper.columns]
    outstanding = inner[inner > paper.grain + _LEAST_CONTRAST]
    if outstanding.size == 0:
        raise UnreadableImageError(
            "no ink stands out from its paper: it is blank, or its paper is unevenly lit"
        )
    ink = np.percentile(outstanding, 99)
    result = np.zeros(values.shape)
    result[paper.rows, paper.columns] = (inner - paper.grain) * 255 / (ink - paper.grain)
    return result.clip(0, 255).round().astype(np.uint8)[..., None]
