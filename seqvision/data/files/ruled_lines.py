"""Ruled lines: rows of ink that run through a whole picture of a line of writing, level or not."""

import numpy as np
from jaxtyping import UInt8

Pixels = UInt8[np.ndarray, "height width"]

# Rules are often fainter than ink.
_FAINT, _INK = 64, 128
# Rise for each column: about 6 degrees.
_STEEPEST = 0.1
_MOST_RULES = 8
# So many columns tell of all of them.
_MOST_COLUMNS = 1000
# Of a rule's thickest row, so much is covered in the others.
_EDGE = 0.5
# Rows with as much of the longest are as long.
_ALIKE = 0.98


def longest_row(pixels: Pixels) -> tuple[float, float, int]:
    """The straight row that has most ink.

    Returns:
      The part of all columns in which it has ink, its rise for each column, and its row in the
      first column.
    """
    height, width = pixels.shape
    every = -(-width // _MOST_COLUMNS)
    rows, columns = np.nonzero(pixels[:, ::every] >= _FAINT)
    columns *= every
    # Within half a row at either end.
    steps = int(min(_STEEPEST * width, height))
    slopes = np.arange(-steps, steps + 1) / max(width - 1, 1)
    most = np.array([_row_counts(rows, columns, slope, width).max(initial=0) for slope in slopes])
    # A thick row has as much at several slopes.
    slope = float(slopes[most >= _ALIKE * most.max()].mean())
    counts = _row_counts(rows, columns, slope, width)
    row = int(counts.argmax()) if counts.size else 0
    return float(most.max()) / -(-width // every), slope, row - _offset(slope, width)


def _offset(slope: float, width: int) -> int:
    """What is added to rows of the first column so that none is negative."""
    return max(0, round(slope * (width - 1)))


def _row_counts(rows: np.ndarray, columns: np.ndarray, slope: float, width: int) -> np.ndarray:
    falls = np.round(slope * np.arange(width)).astype(np.intp)
    return np.bincount(rows - falls[columns] + _offset(slope, width))


def without_rules(pixels: Pixels, covered: float) -> tuple[Pixels, float | None]:
    """A line without the rows of ink that run through it.

    Ink that goes on above or below a rule is writing, and stays.

    Args:
      pixels: light ink on dark.
      covered: the part of all columns that a rule covers, and no row of writing.

    Returns:
      The line, and the rise of its rules for each column; None where it had none, and is the same
      array.
    """
    found: float | None = None
    for _ in range(_MOST_RULES):
        if (pixels >= _FAINT).any(axis=0).mean() < covered:
            break
        part, slope, row = longest_row(pixels)
        if part < covered:
            break
        cleared = _without_rule(pixels, slope, row)
        if not (cleared >= _INK).any():  # A dash: it is the writing.
            break
        pixels, found = cleared, slope if found is None else found
    return pixels, found


def _without_rule(pixels: Pixels, slope: float, row: int) -> Pixels:
    height, width = pixels.shape
    level = np.round(slope * np.arange(width)).astype(np.intp)
    has_ink = pixels >= _FAINT

    def covered(of_row: int) -> float:
        place = of_row + level
        inside = (place >= 0) & (place < height)
        return float(has_ink[place.clip(0, height - 1), np.arange(width)][inside].sum()) / width

    least = _EDGE * covered(row)
    first = last = row
    while covered(first - 1) > least:
        first -= 1
    while covered(last + 1) > least:
        last += 1
    rows = np.arange(height)[:, None]
    # One more on each side has its fading edge.
    in_rule = (rows >= first - 1 + level) & (rows <= last + 1 + level)
    padded = np.pad(pixels >= _INK, ((2, 2), (0, 0)))
    above = (first - 2 + level + 2).clip(0, height + 3)
    below = (last + 2 + level + 2).clip(0, height + 3)
    writing = padded[above, np.arange(width)] | padded[below, np.arange(width)]
    return np.where(in_rule & ~writing, 0, pixels).astype(np.uint8)
