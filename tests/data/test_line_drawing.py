"""How lines of digits look: draws within bounds, digits as scipy draws them, noise."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from seqvision.data.synthetic.line_drawing import Choices, choose, draw_glyphs, largest_glyph
from seqvision.data.synthetic.line_recipe import LEVELS, DigitLines
from tests.data.soft_digits import (
    CLEAN,
    DIGITS,
    HEIGHT,
    SPACE,
    each,
    lines_of,
    split_of,
)


@pytest.mark.parametrize("level", LEVELS)
def test_draws_are_all_between_the_bounds(level: str) -> None:
    recipe = dataclasses.replace(LEVELS[level], noise=(0.0, 0.0))
    keys = jax.random.split(jax.random.key(0), 4000)
    draw = jax.jit(jax.vmap(lambda key: choose(recipe, 3, key)[0]))
    drawn: Choices = jax.tree.map(np.asarray, draw(keys))
    bounds = [
        (drawn.num_symbols, (1, 20), 1),
        (drawn.slant, recipe.slant, 256),
        (drawn.thickness, recipe.thickness, 256),
        (drawn.noise, (0, 1), 256),
        (drawn.left, recipe.margin, 1),
        (drawn.right, recipe.margin, 1),
        (drawn.digits, (0, 2), 1),
        (drawn.scales, recipe.scale, 256),
        (drawn.shifts, recipe.shift, 256),
        (drawn.gaps, recipe.gap, 1),
        (drawn.word_gaps, recipe.word_gap, 1),
    ]
    for values, (least, most), parts in bounds:
        # Rounded to parts, both ends included.
        assert (values.min(), values.max()) == (round(least * parts), round(most * parts))
        middle, span = parts * (least + most) / 2, parts * (most - least)
        assert values.mean() == pytest.approx(middle, abs=0.05 * span + 0.5)


@partial(jax.jit, static_argnums=0)
def drawn(recipe: DigitLines, digit: Any) -> Any:
    choices, _ = choose(recipe, 1, jax.random.key(0))
    boxes = jnp.repeat(digit[None], recipe.max_symbols, axis=0)
    return draw_glyphs((recipe,), 0, boxes, choices)[0]


def glyph_of(digit: np.ndarray, **fields: Any) -> tuple[np.ndarray, DigitLines]:
    """A digit as it is written with one scale, slant, shift and thickness: (height, width)."""
    recipe = dataclasses.replace(CLEAN, **{name: (value, value) for name, value in fields.items()})
    return np.asarray(drawn(recipe, digit)).T, recipe


@pytest.mark.parametrize(
    ("scale", "slant", "shift"), [(1.0, 0.0, 0.0), (0.7, 0.4, -2.25), (1.1, -0.3, 1.5)]
)
def test_digits_look_as_scipy_draws_them(scale: float, slant: float, shift: float) -> None:
    digit = DIGITS[0, 3:19, 0:12, 0]
    height, width = digit.shape
    glyph, recipe = glyph_of(digit, scale=scale, slant=slant, shift=shift)
    assert glyph.shape[1] == largest_glyph(recipe, height, width)[1]
    row, column = np.mgrid[: glyph.shape[0], : glyph.shape[1]]
    foot = (HEIGHT + round(height * scale)) // 2 + shift
    down = (row + 0.5 - foot) / scale + height
    right = (column + 0.5 - glyph.shape[1] / 2) / scale + slant * (down - height / 2) + width / 2
    expected = ndimage.map_coordinates(
        digit.astype(np.float64), [down - 0.5, right - 0.5], order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(glyph, expected, atol=8)


@pytest.mark.parametrize("thickness", [-0.5, 0.25, 1.0])
def test_strokes_grow_and_shrink(thickness: float) -> None:
    digit = np.pad(DIGITS[0, 3:19, 0:12, 0], 2)
    cross = ndimage.generate_binary_structure(2, 1)
    change = ndimage.grey_dilation if thickness > 0 else ndimage.grey_erosion
    other = change(digit, footprint=cross, mode="constant").astype(np.float64)
    expected = digit + abs(thickness) * (other - digit)
    glyph, _ = glyph_of(digit[2:-2, 2:-2], thickness=thickness)
    top, left = (HEIGHT - 20) // 2, (glyph.shape[1] - 16) // 2
    np.testing.assert_allclose(glyph[top : top + 20, left : left + 16], expected, atol=1)
    assert glyph.astype(int).sum() == glyph[top : top + 20, left : left + 16].astype(int).sum()


def test_noise_has_its_deviation() -> None:
    solid = np.full((3, 12, 12, 1), 128, np.uint8)
    noisy = lines_of(split_of(dataclasses.replace(CLEAN, noise=(0.12, 0.12)), solid), 40)
    ink = [
        picture[10:22, start : end + 1].ravel()
        for picture, labels, starts, ends, _ in each(noisy)
        for label, start, end in zip(labels, starts, ends, strict=True)
        if label != SPACE
    ]
    pixels = np.concatenate(ink).astype(np.float64)
    assert pixels.mean() == pytest.approx(128, abs=0.5)
    assert pixels.std() == pytest.approx(0.12 * 255, rel=0.02)
    assert abs(np.corrcoef(pixels[1:], pixels[:-1])[0, 1]) < 0.02


def test_ink_may_touch_the_border_of_its_image() -> None:
    """Columns of ink, and rows of it from the foot of the tallest."""
    images = np.full((3, 10, 8, 1), 255, np.uint8)
    images[1, :, :3] = images[2, :4] = 0
    sizes = {1: (10, 8), 2: (10, 5), 3: (6, 8)}
    recipe = dataclasses.replace(CLEAN, margin=(0, 0), gap=(1, 1))
    for picture, labels, starts, ends, length in each(lines_of(split_of(recipe, images), 40)):
        assert starts[0] == 0 and ends[-1] == length - 1
        for label, start, end in zip(labels, starts, ends, strict=True):
            height, width = sizes.get(label, (0, end - start + 1))
            ink = picture[:, start : end + 1]
            expected = np.zeros((HEIGHT, width), np.uint8)
            expected[21 - height : 21] = 255
            np.testing.assert_array_equal(ink, expected)
