"""A belief film: a picture, the probabilities after each of its steps, and what blanking changes.

Steps that lie below each other (rows, pixels) run down beside the picture, those that lie beside
each other (columns, frames) along below it, each where it is in the picture.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_MOST_STEPS = 112
"""More steps than these are drawn by every second, third, ... of them."""
_PICTURE, _WIDEST, _TALLEST = 168.0, 320.0, 200.0
_NARROWEST = 62.0
"""Room for a title."""
_FRAME, _NUMBERED, _NUMBERS = 40.0, 16, 13.0
"""The least width of a frame, so many of them have this and a number, and the room for these."""
_BELIEF, _TRUTH, _CHANGE, _GAP = 124.0, 20.0, 64.0, 10.0


_Part = tuple[np.ndarray, str]
"""Points (n, 2): along the steps in units, across them from 0 to 1; and the class of the colour."""


class Shape(NamedTuple):
    """A part of the drawing: a path, and the class of its colour in the style sheet."""

    path: str
    kind: str


class Film(NamedTuple):
    """A drawing; all lengths are in the units of its view box.

    Attributes:
      width, height: of the view box.
      picture: x, y, width and height.
      shapes: areas of the probabilities and bars of the changes.
      titles: x, y and text above each part.
      numbers: x, y and number below some frames.
    """

    width: float
    height: float
    picture: tuple[float, float, float, float]
    shapes: list[Shape]
    titles: list[tuple[float, float, str]]
    numbers: list[tuple[float, float, int]]


def draw_film(
    size: tuple[int, int],
    runs_down: bool,
    beliefs: np.ndarray | None,
    kinds: Sequence[tuple[int, str]],
    changes: np.ndarray | None,
    truths: np.ndarray | None = None,
    most: float = 1.0,
    frames: Sequence[int] = (),
) -> Film:
    """Lays out a film.

    Args:
      size: height and width of the picture in pixels.
      runs_down: whether the steps run down.
      beliefs: (T, K), the probabilities after each step; None where the whole is needed.
      kinds: numbers of the classes that are drawn, and the classes of their colours.
      changes: (bands,) of a probability, see `occlusion`; None where nothing is blanked.
      truths: (T, K), 1 of the class that each step is; None where a step has none of its own.
      most: the change that fills its part.
      frames: numbers of the frames that lie beside each other in the picture.
    """
    height, width = _PICTURE, _PICTURE * size[1] / size[0]
    widest = max(_WIDEST, _FRAME * min(len(frames), _NUMBERED))
    if width > widest or not runs_down:
        height, width = widest * size[0] / size[1], widest
        if height > _TALLEST:
            height, width = _TALLEST, _TALLEST * size[1] / size[0]
    top, titles = 16.0, [(0.0, 11.0, "what it saw")]
    shapes: list[Shape] = []
    along, across = (height, width) if runs_down else (width, height)
    # Where the next part begins, across the steps; parts below each other have a title between.
    gap = _GAP if runs_down else _GAP + top
    begin = (max(across, _NARROWEST) if runs_down else across) + gap
    numbers = _numbers(frames, width, top + height + 10)
    begin += _NUMBERS * bool(numbers)
    parts: list[tuple[str, float, list[_Part]]] = []
    if beliefs is not None:
        parts.append(("belief after each step", _BELIEF, _areas(beliefs, kinds, along)))
    if truths is not None:
        parts.append(("what it is", _TRUTH, _areas(truths, kinds, along)))
    if changes is not None:
        parts.append(("if blanked", _CHANGE, _bars(changes, along, most)))
    for title, extent, drawn in parts:
        extent *= 1.0 if runs_down else 0.7
        x, y = (begin, top) if runs_down else (0.0, top + begin)
        titles.append((x, y - 5, title))
        shapes += [_placed(part, x, y, runs_down, extent) for part in drawn]
        begin += extent + gap
    end = begin - gap
    whole = (end, top + along) if runs_down else (along, top + end)
    return Film(*whole, (0.0, top, width, height), shapes, titles, numbers)


def _numbers(frames: Sequence[int], width: float, y: float) -> list[tuple[float, float, int]]:
    """Of all frames; of many of the first, middle and last one."""
    count = len(frames)
    chosen = range(count) if count <= _NUMBERED else (0, count // 2, count - 1)
    return [((one + 0.5) * width / count, y, frames[one]) for one in chosen]


def _areas(beliefs: np.ndarray, kinds: Sequence[tuple[int, str]], length: float) -> list[_Part]:
    """Probabilities on each other."""
    every = -(-len(beliefs) // _MOST_STEPS)
    steps = beliefs[every - 1 :: every] if every > 1 else beliefs
    edges = np.linspace(0, length, len(steps) + 1)
    lower = np.zeros(len(steps))
    parts = [(_polygon(edges, lower, lower + 1), "rest")]
    for number, kind in kinds:
        upper = lower + steps[:, number]
        parts.append((_polygon(edges, lower, upper), kind))
        lower = upper
    return parts


def _bars(changes: np.ndarray, length: float, most: float) -> list[_Part]:
    """A bar for each band: how far the probability falls, or rises."""
    edges = np.linspace(0, length, len(changes) + 1)
    parts = [(_polygon(edges[[0, -1]], np.zeros(1), np.ones(1)), "ground")]
    for number, change in enumerate(changes / most):
        if abs(change) > 0.005:
            bar = _polygon(edges[number : number + 2], np.zeros(1), np.array([abs(change)]))
            parts.append((bar, "falls" if change < 0 else "rises"))
    return parts


def _polygon(edges: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The area between two step functions of T steps with T + 1 edges: (n, 2), along and across."""
    along = np.repeat(edges, 2)[1:-1]
    there = np.stack([along, np.repeat(upper, 2)], axis=1)
    back = np.stack([along, np.repeat(lower, 2)], axis=1)[::-1]
    points = np.concatenate([there, back]).round(3)
    # A point between two others of one height says nothing.
    level = points[1:, 1] == points[:-1, 1]
    between = np.r_[False, level[:-1] & level[1:], False]
    return points[~between]


def _placed(part: _Part, x: float, y: float, runs_down: bool, extent: float) -> Shape:
    """The polygon as a path: steps along y, or along x with probabilities upwards."""
    points, kind = part
    along, across = points.T
    places = (x + across * extent, y + along)
    if not runs_down:
        places = (x + along, y + (1 - across) * extent)
    words = (f"{right:.1f} {down:.1f}" for right, down in zip(*places, strict=True))
    return Shape(f"M{'L'.join(words)}Z", kind)
