"""Lines of writing brought to the scale of the training lines."""

import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from seqvision.data.files.line_ink import inked_line
from seqvision.data.files.line_look import (
    Looks,
    Range,
    band_of,
    ink_of,
    letters_of,
    look_of,
    rise_of,
)
from seqvision.data.files.line_scale import resized, to_scale
from seqvision.data.files.ruled_lines import longest_row, without_rules

LOOKS = Looks(
    height=32,
    foot=Range(25, 26, 28),
    size=Range(16, 20, 22),
    thickness=Range(1.7, 2.7, 4.4),
    rise=Range(-3, 0, 3),
    longest=Range(0.3, 0.45, 0.7),
)


def line(
    letters: int = 8,
    *,
    size: float = 80,
    above: float = 24,
    below: float = 24,
    pen: float = 11,
    angle: float = 0.0,
) -> np.ndarray:
    """Letters like `n`, light on dark: posts with an arch of half their width, level feet."""
    large = 4
    step, margin = 0.9 * size, 20.0
    width, height = letters * step + 2 * margin, above + size + below
    picture = Image.new("L", (round(large * width), round(large * height)))
    draw = ImageDraw.Draw(picture)
    half = pen / 2
    for number in range(letters):
        left = margin + number * step + half
        right, top, foot = left + 0.5 * size, above + half, above + size
        for box in (
            (left - half, above, left + half, foot),
            (right - half, above, right + half, foot),
            (left - half, above, right + half, top + half),
        ):
            draw.rectangle(
                [round(large * side) for side in box[:2]]
                + [round(large * side) - 1 for side in box[2:]],
                255,
            )
    small = picture.resize((round(width), round(height)), Image.Resampling.BOX)
    if angle:
        small = small.rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    return np.array(small)


def look(pixels: np.ndarray):  # type: ignore[no-untyped-def]
    found = look_of(pixels)
    assert found is not None
    return found


def test_look_of_a_line() -> None:
    found = look(resized(line(), 32))
    assert (found.foot, found.size) == (26, 20)
    assert found.rise == 0
    assert found.thickness == pytest.approx(11 / 4, abs=0.4)
    assert look_of(np.zeros((32, 40), np.uint8)) is None


def test_a_line_that_looks_like_those_of_training_is_only_scaled() -> None:
    fitting = resized(line(), 32)
    np.testing.assert_array_equal(to_scale(fitting, LOOKS), fitting)
    np.testing.assert_array_equal(to_scale(line(), LOOKS), fitting)


@pytest.mark.parametrize(("above", "below"), [(2, 2), (64, 160), (400, 300), (0, 60)])
def test_letters_come_to_the_height_and_place_of_training(above: float, below: float) -> None:
    found = look(to_scale(line(above=above, below=below), LOOKS))
    assert found.foot == pytest.approx(26, abs=1)
    assert found.size == pytest.approx(20, abs=1)


@pytest.mark.parametrize("rows", [16, 24, 128, 2000])
def test_lines_of_any_height_have_that_of_training(rows: int) -> None:
    scaled = to_scale(resized(line(above=60, below=90), rows), LOOKS)
    found = look(scaled)
    assert scaled.shape[0] == 32
    assert found.size == pytest.approx(20, abs=1.5)
    assert found.foot == pytest.approx(26, abs=1.5)


@pytest.mark.parametrize("angle", [-5, -3, 3, 5])
def test_a_tilted_line_is_turned_back(angle: float) -> None:
    level = to_scale(line(12), LOOKS)
    turned = to_scale(line(12, angle=angle), LOOKS)
    ink = ink_of(turned)
    assert ink is not None
    assert np.ptp(letters_of(ink).feet) <= 1
    found = look(turned)
    assert (found.foot, found.size) == (pytest.approx(26, abs=1), pytest.approx(20, abs=1.5))
    assert turned.shape[1] == pytest.approx(level.shape[1], rel=0.05)


def test_slopes() -> None:
    for angle in (-3.0, 0.0, 4.0):
        ink = ink_of(line(12, angle=angle))
        assert ink is not None
        assert rise_of(ink) == pytest.approx(math.tan(math.radians(angle)), abs=0.003)
    # Joined writing has no feet.
    joined = np.zeros((60, 600), np.uint8)
    joined[20:40, 10:590:20] = 255
    joined[28:32, 10:590] = 255
    image = Image.fromarray(joined).rotate(-3, Image.Resampling.BICUBIC, expand=True)
    ink = ink_of(np.asarray(image))
    assert ink is not None
    assert rise_of(ink) == pytest.approx(math.tan(math.radians(3)), abs=0.003)


@pytest.mark.parametrize("pen", [1.5, 3, 5, 24])
def test_strokes_come_into_the_range_of_training(pen: float) -> None:
    found = look(to_scale(line(pen=pen), LOOKS))
    expected = 2.2 if pen < 10 else 3.55  # Half of the way to the middle.
    assert found.thickness == pytest.approx(expected, abs=0.5)
    # Letters are no higher, and stand no lower, for their strokes being thicker now.
    assert found.size == pytest.approx(20, abs=1)
    assert found.foot == pytest.approx(26, abs=1)


@pytest.mark.parametrize("row", [12, 70, 103, 118])
def test_a_rule_goes_and_letters_that_cross_it_stay(row: int) -> None:
    plain = line()
    ruled = plain.copy()
    ruled[row : row + 3] = np.maximum(ruled[row : row + 3], 170)
    cleared, slope = without_rules(ruled, 0.85)
    assert slope == 0
    # Where there was ink it is there still, and nowhere else.
    np.testing.assert_array_equal(cleared[plain > 200], plain[plain > 200])
    assert ((cleared > 64) & (plain == 0)).mean() < 0.01
    found = look(to_scale(ruled, LOOKS))
    assert (found.foot, found.size) == (pytest.approx(26, abs=1), pytest.approx(20, abs=1))
    assert found.longest < 0.7


def test_a_tilted_rule_and_several() -> None:
    ruled = line(12)
    ruled[104:107] = np.maximum(ruled[104:107], 170)
    ruled[8:10] = 170
    tilted = np.asarray(Image.fromarray(ruled).rotate(-3, Image.Resampling.BICUBIC))
    inner = tilted[:, 40:-40]
    assert longest_row(inner)[1] == pytest.approx(math.tan(math.radians(3)), abs=0.003)
    cleared, slope = without_rules(inner, 0.8)
    assert slope == pytest.approx(math.tan(math.radians(3)), abs=0.003)
    assert longest_row(cleared)[0] < 0.85


def test_writing_with_long_rows_keeps_them() -> None:
    barred = line()
    barred[24:35] = 255  # As a line of Devanagari, cut closely.
    looks = dataclasses.replace(LOOKS, longest=Range(0.7, 0.9, 1.0))
    assert (look(to_scale(barred, looks)).longest) > 0.9


def test_a_dash_a_dot_and_blank_paper_stay_as_they_are() -> None:
    for box in ((60, 66, 20, 60), (58, 66, 30, 38)):
        mark = np.zeros((128, 90), np.uint8)
        mark[box[0] : box[1], box[2] : box[3]] = 255
        np.testing.assert_array_equal(to_scale(mark, LOOKS), resized(mark, 32))
    rule = np.zeros((40, 300), np.uint8)
    rule[20:23] = 255
    np.testing.assert_array_equal(to_scale(rule, LOOKS), resized(rule, 32))
    blank = np.zeros((50, 70), np.uint8)
    np.testing.assert_array_equal(to_scale(blank, LOOKS), resized(blank, 32))
    for shape in ((1, 1), (1, 200), (200, 1)):
        assert to_scale(np.full(shape, 255, np.uint8), LOOKS).shape[0] == 32
    assert to_scale(resized(line(above=60, below=90), 8), LOOKS).shape[0] == 32


def test_dark_ink_comes_out_as_light_ink_does() -> None:
    light = line(above=100, below=50)
    dark = inked_line(Image.fromarray(255 - light)).pixels[..., 0]
    np.testing.assert_array_equal(to_scale(dark, LOOKS), to_scale(light, LOOKS))


def test_specks_and_low_letters_do_not_count() -> None:
    specked = line(above=90, below=90)
    specked[3:6, 50:53] = 255
    found = look(to_scale(specked, LOOKS))
    assert (found.foot, found.size) == (pytest.approx(26, abs=1), pytest.approx(20, abs=1))


def test_all_ink_stays_in_the_picture() -> None:
    tall = line(above=60, below=60)
    tall[4:160, 40:50] = 255  # A long letter, up and down.
    ink = ink_of(to_scale(tall, LOOKS))
    assert ink is not None
    top, bottom = band_of(ink)
    assert ink[:, :40].any()
    assert bottom - top > 28


def test_looks_of_a_set_come_back_from_json() -> None:
    lines = [resized(line(letters), 32) for letters in range(1, 9)]
    looks = Looks.of_lines([*lines, np.zeros((32, 9), np.uint8)])
    assert looks is not None
    assert looks.size.middle == 20
    assert looks.height == 32
    assert all(looks.have(look(one)) for one in lines)
    assert Looks.from_json(json.loads(json.dumps(dataclasses.asdict(looks)))) == looks
    assert Looks.of_lines([np.zeros((32, 9), np.uint8)]) is None
    assert Looks.from_json(None) is None
    with pytest.raises(KeyError):
        Looks.from_json({"height": 32})
