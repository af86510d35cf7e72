"""Strokes of a pen as columns for a live reader, at the scale of the training lines."""

from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from seqvision.data.files.line_look import Looks

_MOST_COLUMNS = 100_000
"""Of a line that is kept; no pen writes so far before its columns are asked for."""

_FAR = 1e9
"""From so many rows or columns on, it makes no difference how far away a point is."""

Points = Float64[np.ndarray, "N 2"]
Columns = UInt8[np.ndarray, "height n"]


class PenLine:
    """A line of writing that grows while it is written.

        reader = StreamReader.from_run("runs/column_reader")
        pen = PenLine(reader.looks, top=100, foot=180)  # Guides, in the units of the points.
        for points in strokes:
            pen.stroke(points)
            events = reader.push(pen.columns())
        events = reader.push(pen.finish()) + reader.finish()

    Letters that fill the space between the guides come out as high as in training; however wide
    the pen is, strokes are as thick as in training.

    Args:
      looks: of the training lines, such as `StreamReader.looks`, which old runs have not.
      top, foot: where the pen's tip is at the top and at the foot of most letters; y grows
        downwards.
      behind: columns are given once the pen is so far right of them, in heights of letters.

    Raises:
      ValueError: there are no looks, or the foot is not below the top.
    """

    def __init__(self, looks: Looks | None, top: float, foot: float, behind: float = 1.0) -> None:
        if looks is None:
            raise ValueError(
                "looks: there are none; this run does not know how its training lines look, as"
                " older runs: train it again, or push columns of your own"
            )
        if not -np.inf < top < np.inf or not -np.inf < foot < np.inf:
            raise ValueError(f"top, foot: {top}, {foot}; give finite numbers")
        if not foot > top:
            raise ValueError(f"foot: {foot} is not below top, {top}; y grows downwards")
        self._radius = looks.thickness.middle / 2
        self._scale = (looks.size.middle - 2 * self._radius) / (foot - top)
        self._foot, self._lowest = foot, looks.foot.middle - self._radius
        self._behind = behind * looks.size.middle
        self._height = looks.height
        self._start()

    def _start(self) -> None:
        self._left: float | None = None  # In units of the points: where the first column is.
        self._given = 0
        self._furthest = 0.0
        self._ink = np.zeros((self._height, 0), np.uint8)  # From column `_given` on.

    def stroke(self, points: Any) -> None:
        """Adds ink from each point (x, y) to the next; ink in columns that were given is lost.

        A stroke may come in parts, of which each begins where the last one ended. Until the first
        column is given, the line grows to the left, too.

        Raises:
          ValueError: they are no pairs of finite numbers, or the line would be too long; nothing
            was added.
        """
        path = _checked(points)
        if path.size == 0:
            return
        # A margin as wide as the thickness of three strokes.
        left = path[:, 0].min() - 6 * self._radius / self._scale
        start = left if self._left is None else self._left
        # By whole columns, so that the ink that is there moves with its pixels.
        more = 0.0 if self._given else max(0.0, np.ceil((start - left) * self._scale))
        columns = (path[:, 0] - start) * self._scale + more
        width = max(columns.max(), self._furthest + more) - self._given
        if not width < _MOST_COLUMNS:
            raise ValueError(
                f"points: x from {path[:, 0].min():g} to {path[:, 0].max():g} make a line of"
                f" {width:.0f} columns more than were given; the most is {_MOST_COLUMNS}: call"
                " columns() on the way, and finish() before the next line"
            )
        self._left, self._furthest = start - more / self._scale, width + self._given
        self._ink = np.pad(self._ink, ((0, 0), (int(more), 0)))
        rows = self._lowest + (path[:, 1] - self._foot) * self._scale
        self._widen(int(columns.max() + self._radius) + 2)
        places = np.stack([rows, columns], axis=1).clip(-_FAR, _FAR)
        for start, end in zip(places, places[1:] if len(places) > 1 else places, strict=False):
            self._draw(start, end)

    def columns(self) -> Columns:
        """The columns that the pen has left behind since the last call; there may be none."""
        return self._give(int(self._furthest - self._behind) - self._given)

    def finish(self) -> Columns:
        """The rest of the line, with a margin; the next line begins."""
        self._widen(int(self._furthest + 6 * self._radius) if self._left is not None else 0)
        rest = self._give(self._ink.shape[1])
        self._start()
        return rest

    def _widen(self, columns: int) -> None:
        more = columns - self._given - self._ink.shape[1]
        self._ink = np.pad(self._ink, ((0, 0), (0, max(0, more))))

    def _give(self, count: int) -> Columns:
        count = max(0, count)
        given, self._ink = self._ink[:, :count], self._ink[:, count:]
        self._given += given.shape[1]
        return given

    def _draw(self, start: np.ndarray, end: np.ndarray) -> None:
        """Ink within the radius of a straight piece, from (row, column) to (row, column)."""
        reach = self._radius + 1
        first = np.floor(np.minimum(start, end) - reach).astype(int) - (0, self._given)
        last = np.ceil(np.maximum(start, end) + reach).astype(int) + 1 - (0, self._given)
        (top, left), (bottom, right) = first.clip(0), last.clip(0)
        part = self._ink[top:bottom, left:right]
        rows = top + np.arange(part.shape[0])[:, None] + 0.5 - start[0]
        columns = self._given + left + np.arange(part.shape[1]) + 0.5 - start[1]
        along = end - start
        length = max(float(along @ along), 1e-12)
        at = ((rows * along[0] + columns * along[1]) / length).clip(0, 1)
        away = np.hypot(rows - at * along[0], columns - at * along[1])
        ink = ((self._radius + 0.5 - away).clip(0, 1) * 255).round().astype(np.uint8)
        np.maximum(part, ink, out=part)


def _checked(points: Any) -> Points:
    """Points as an array; ValueError for what is none."""
    try:
        path = np.asarray(list(points), np.float64)
    except (TypeError, ValueError, OverflowError):
        path = np.full((1, 2), np.nan)
    if path.size == 0:
        return path.reshape(0, 2)
    if path.ndim != 2 or path.shape[1] != 2 or not np.isfinite(path).all():
        raise ValueError("points: give pairs of finite numbers, such as [(3.0, 4.0), ...]")
    return path
