"""Strokes of a pen as columns for a live reader."""

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
    for wrong in ([(1.0, float("nan"))], [(1.0, float("inf"))]):
        with pytest.raises(ValueError, match="pairs of finite numbers"):
            pen.stroke(wrong)
    with pytest.raises(ValueError, match="not below top"):
        PenLine(LOOKS, 90, 10)
