"""Ink and paper of a line of writing, told apart by all its pixels, not by its border alone."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from seqvision.data.files.images import toned
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paper_light import levelled
from seqvision.data.files.pixels import border, median
from seqvision.data.files.writing_rows import PAGE_ROWS, num_rows_of_writing

Pixels = UInt8[np.ndarray, "height width"]
# How often each of the 256 brightnesses occurs: a few thousand numbers are added instead of all
# pixels.
Counts = Int64[np.ndarray, "256"]

_LEVELS = np.arange(256.0)
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
    """Brightness of the paper and its grain; rows and columns that are no margin, counted."""

    brightness: float
    grain: float
    rows: slice
    columns: slice
    counts: Counts


def inked_line(image: Image.Image, invert: str = "auto") -> InkedLine:
    """Light ink on dark paper, with full contrast, in even light.

    Paper is what most of a line is like. Where ink is darker or lighter than it is decided by all
    pixels that stand out: specks weigh little, and dark margins of a scan are taken for paper.
    Where the border says the same, the result is that of `images.toned`.

    Args:
      image: grey.
      invert: `always`, `never` (brightness is left alone), or `auto`: where ink is dark.

    Raises:
      UnreadableImageError: no ink stands out.
    """
    if invert == "never":
        return InkedLine(toned(image, "dark", invert), False)
    image = levelled(image)
    pixels = np.asarray(image, np.uint8)
    edge = border(pixels[None])
    around = median(edge)
    by_border = around > 127.5
    paper = _paper_of(pixels, edge, around)
    dark_ink = True if invert == "always" else _has_dark_ink(pixels, paper, by_border)
    has_margins = pixels[paper.rows, paper.columns].shape != pixels.shape
    if not has_margins and dark_ink == by_border:
        try:
            return InkedLine(toned(image, "dark", invert), dark_ink)
        except UnreadableImageError:
            pass  # Its border is no paper, perhaps.
    elif invert == "always" and not has_margins:
        return InkedLine(toned(image, "dark", invert), dark_ink)
    return InkedLine(_stretched(pixels, paper, dark_ink), dark_ink)


def check_no_page(pixels: np.ndarray) -> None:
    """Raises UnreadableImageError where a picture shows a page, not a line."""
    if (rows := num_rows_of_writing(pixels)) >= PAGE_ROWS:
        raise UnreadableImageError(
            f"it shows {rows} rows of writing; this run reads single lines: cut it into lines"
        )


def _paper_of(pixels: Pixels, edge: np.ndarray, around: float) -> _Paper:
    everything = slice(0, pixels.shape[0]), slice(0, pixels.shape[1])
    counts = _counted(pixels)
    far = max(_FAR * (_percentile(counts, 99) - _percentile(counts, 1)), _LEAST_CONTRAST)
    like = np.flatnonzero(np.abs(_LEVELS - around) < far)
    is_like_edge = (pixels >= like[0]) & (pixels <= like[-1])
    rows, columns = _without_margins(is_like_edge, *everything)
    inner = pixels[rows, columns]
    if inner.size >= pixels.size / 4:
        inside = _counted(inner)
        most = _percentile(inside, 50)
        is_like = np.abs(_LEVELS - most) < far
        # Where nothing stands out within, it is a letter such as a dash.
        paper = inside @ is_like / inner.size
        has_margins = abs(most - around) > far and _PAPER < paper < _NO_INK
        sides = (inner[0], inner[-1], inner[:, 0], inner[:, -1])
        if has_margins and all(is_like[side].mean() > _FRAME for side in sides):
            return _Paper(most, _grain(inner, most), rows, columns, inside)
    return _Paper(around, _grain(edge, around), *everything, counts)


def _counted(pixels: np.ndarray) -> Counts:
    return np.array(Image.fromarray(pixels).histogram())  # Faster than `np.bincount`.


def _percentile(counts: Counts, percent: float) -> float:
    """As `np.percentile` of the counted pixels."""
    up_to = np.cumsum(counts)
    place = percent / 100 * (int(up_to[-1]) - 1)
    below = math.floor(place)
    low, high = np.searchsorted(up_to, (below, math.ceil(place)), side="right").tolist()
    part = place - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def _without_margins(like_edge: np.ndarray, rows: slice, columns: slice) -> tuple[slice, slice]:
    """What is left when rows and columns at the border that are like it are taken away.

    One by one, rows first: after each column the first and the last row are looked at again.
    """
    top, bottom, left, right = rows.start, rows.stop, columns.start, columns.stop
    while bottom - top > 1 and right - left > 1:
        inner = like_edge[top:bottom, left:right]
        of_row = np.count_nonzero(inner, axis=1) / inner.shape[1] > _MARGIN
        if of_row[0] or of_row[-1]:
            top = min(top + _leading(of_row), bottom - 1)
            bottom = max(bottom - _leading(of_row[::-1]), top + 1)
            continue
        of_column = np.count_nonzero(inner, axis=0) / inner.shape[0] > _MARGIN
        if of_column[0]:
            left += _until_a_row(inner, _leading(of_column))
        elif of_column[-1]:
            right -= _until_a_row(inner[:, ::-1], _leading(of_column[::-1]))
        else:
            break
    return slice(top, bottom), slice(left, right)


def _leading(flags: np.ndarray) -> int:
    """How many are true before the first that is not."""
    return len(flags) if flags.all() else int(flags.argmin())


def _until_a_row(inner: np.ndarray, most: int) -> int:
    """How many columns, up to `most`, are taken away until the first or last row is a margin."""
    most = min(most, inner.shape[1] - 1)
    ends = inner[[0, -1]]
    left = np.count_nonzero(ends, axis=1)[:, None] - np.cumsum(ends[:, :most], axis=1)
    is_margin = (left / (inner.shape[1] - np.arange(1, most + 1)) > _MARGIN).any(axis=0)
    return int(is_margin.argmax()) + 1 if is_margin.any() else most


def _grain(values: np.ndarray, paper: float) -> float:
    """Three standard deviations, from the median absolute deviation."""
    return float(3 * 1.4826 * np.median(np.abs(values - paper)))


def _has_dark_ink(pixels: Pixels, paper: _Paper, by_border: bool) -> bool:
    counts, above = paper.counts, _LEVELS - paper.brightness
    least = paper.grain + _LEAST_CONTRAST / 2
    dark, light = counts @ np.maximum(-above - least, 0), counts @ np.maximum(above - least, 0)
    if counts.sum() < pixels.size:
        return bool(dark >= light)
    return bool(dark * _EVIDENCE >= light) if by_border else bool(dark > _EVIDENCE * light)


def _stretched(pixels: Pixels, paper: _Paper, dark_ink: bool) -> np.ndarray:
    above = (pixels.astype(np.float64) - paper.brightness) * (-1 if dark_ink else 1)
    inner = above[paper.rows, paper.columns]
    outstanding = inner[inner > paper.grain + _LEAST_CONTRAST]
    if outstanding.size == 0:
        raise UnreadableImageError(
            "no ink stands out from its paper: it is blank, or its paper is unevenly lit"
        )
    ink = np.percentile(outstanding, 99)
    result = np.zeros(pixels.shape)
    result[paper.rows, paper.columns] = (inner - paper.grain) * 255 / (ink - paper.grain)
    return result.clip(0, 255).round().astype(np.uint8)[..., None]
