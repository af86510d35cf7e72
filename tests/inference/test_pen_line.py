"""Strokes of a pen as columns for a live reader."""

from typing import Any

import numpy as np
import pytest

from seqvision.data.files.line_look import Looks, Range, look_of
from seqvision.inference.pen_line import PenLine

LOOKS = Looks(
    height=32,
    foot=Range(25, 26, 28),
    size=Range(16, 20, 22),
    thickness=Range(1.7, 2.7, 4.4),
    rise=Range(-3, 0, 3),
    longest=Range(0.3, 0.45, 0.7),
)


def zigzag(unit: float, letters: int = 6) -> list[list[tuple[float, float]]]:
    """Letters like V between the guides 10 and 90, in other units."""
    return [
        [(unit * (60 * place + x), unit * y) for x, y in ((0, 10), (20, 90), (40, 10))]
        for place in range(letters)
    ]


@pytest.mark.parametrize("unit", [0.01, 1.0, 300.0])
def test_ink_is_as_in_training_whatever_the_units(unit: float) -> None:
    pen = PenLine(LOOKS, top=10 * unit, foot=90 * unit)
    for stroke in zigzag(unit):
        pen.stroke(stroke)
    line = pen.finish()
    look = look_of(line)
    assert look is not None
    assert LOOKS.have(look)
    assert (look.foot, look.size) == (pytest.approx(26, abs=1), pytest.approx(20, abs=1))
    assert look.thickness == pytest.approx(2.7, abs=0.5)
    assert line.max() == 255


def test_columns_given_on_the_way_are_those_of_the_whole_line() -> None:
    whole, live = PenLine(LOOKS, 10, 90), PenLine(LOOKS, 10, 90)
    pieces = []
    for stroke in zigzag(1.0):
        whole.stroke(stroke)
        for part in (stroke[:2], stroke[1:]):
            live.stroke(part)
            pieces.append(live.columns())
    pieces.append(live.finish())
    line = whole.finish()
    assert sum(piece.shape[1] > 0 for piece in pieces) > 5
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), line)
    # The next line begins anew.
    live.stroke(zigzag(1.0)[2])
    whole.stroke(zigzag(1.0)[2])
    np.testing.assert_array_equal(live.finish(), whole.finish())


def test_dots_strokes_far_away_and_late_ones() -> None:
    pen = PenLine(LOOKS, 10, 90)
    assert pen.columns().shape == pen.finish().shape == (32, 0)
    pen.stroke([])
    pen.stroke([(5, 50)])
    pen.stroke([(500, -1e6), (500, -1e5)])  # Far above: no ink in the picture.
    given = pen.columns()
    assert given.max() == 255
    assert given.shape[0] == 32
    pen.stroke([(5, 20), (5, 80)])  # Where columns were given.
    assert pen.finish().max() == 0
    with pytest.raises(ValueError, match="not below top"):
        PenLine(LOOKS, 90, 10)
    with pytest.raises(ValueError, match="give finite numbers"):
        PenLine(LOOKS, float("-inf"), 10)
    with pytest.raises(ValueError, match=r"^looks: there are none; this run does not know how"):
        PenLine(None, 10, 90)


def test_the_line_grows_to_the_left_until_columns_were_given() -> None:
    strokes = zigzag(1.0)
    ordered, other = PenLine(LOOKS, 10, 90), PenLine(LOOKS, 10, 90)
    for stroke in strokes:
        ordered.stroke(stroke)
    for number in (3, 4, 1, 0, 5, 2):
        other.stroke(strokes[number])
    expected, found = ordered.finish(), other.finish()
    # It begins within a column of where it would.
    assert 0 <= found.shape[1] - expected.shape[1] <= 3
    assert found.sum() == pytest.approx(expected.sum(), rel=0.01)
    first, other_first = (np.flatnonzero(line.any(axis=0))[0] for line in (expected, found))
    assert first - 1 <= other_first <= first + 3
    moved = found[:, other_first:][:, : expected.shape[1] - first]
    assert (np.abs(moved - expected[:, first:].astype(float)) > 128).mean() < 0.1
    # Of what stands left of given columns, only the ink right of their end is drawn.
    pen = PenLine(LOOKS, 10, 90)
    pen.stroke([(0, 20), (300, 20)])
    given = pen.columns().shape[1]
    pen.stroke([(-50, 80), (290, 80)])
    rest = pen.finish()
    assert given > 40
    assert rest[22, :3].min() == 255
    assert given + rest.shape[1] == ordered_width(300)


def ordered_width(length: float) -> int:
    pen = PenLine(LOOKS, 10, 90)
    pen.stroke([(0, 20), (length, 20)])
    return pen.finish().shape[1]


@pytest.mark.parametrize(
    "points",
    [
        [(1.0, float("nan"))],
        [(1.0, float("inf"))],
        [(1.0, 2.0), (3.0,)],
        [(1.0, "b")],
        [1.0, 2.0],
        [(10**400, 1)],
        [None],
        "text",
    ],
)
def test_what_is_no_point_is_refused(points: Any) -> None:
    with pytest.raises(ValueError, match=r"^points: give pairs of finite numbers[^\n]*$"):
        PenLine(LOOKS, 10, 90).stroke(points)


@pytest.mark.parametrize("x", [1e9, -1e9, 1e300, -1e300])
def test_a_line_has_a_most_length(x: float) -> None:
    pen, alone = PenLine(LOOKS, 10, 90), PenLine(LOOKS, 10, 90)
    for one in (pen, alone):
        one.stroke([(0, 20), (60, 80)])
    with pytest.raises(ValueError, match=r"^points: x from .* the most is 100000: call columns\("):
        pen.stroke([(0, 20), (x, 50)])
    pen.stroke([(30, 1e300), (30, -1e300)])  # Up and down there is no end.
    alone.stroke([(30, 1000), (30, -1000)])
    np.testing.assert_array_equal(pen.finish(), alone.finish())
    # A line that is given on the way has no end.
    for at in range(0, 2_000_000, 100_000):
        pen.stroke([(at, 50), (at + 100_000, 50)])
        assert pen.columns().shape[1] > 10_000
