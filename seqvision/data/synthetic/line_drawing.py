"""Drawing of one line of digits, in whole numbers: see `random_integers`."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int32, UInt8, UInt32

from seqvision.data.synthetic.line_recipe import DigitLines
from seqvision.data.synthetic.random_integers import (
    LEVEL,
    PLACE,
    below,
    four_pixels,
    interpolated,
    noise,
    words,
)
from seqvision.shapes import Count, PRNGKey

# Ink is what is this bright; fainter columns around a symbol are cut off.
INK = 32

Digits = UInt8[Array, "num_digits box_height box_width"]
DigitLabels = Int32[Array, "num_digits"]
PerSymbol = Int32[Array, "N"]
WhichSymbols = Bool[Array, "N"]
FourPixels = UInt32[Array, "table_height table_width"]  # A pixel and those right of and below it.
PerRow = Int32[Array, "height"]
PerColumn = Int32[Array, "width"]
Glyphs = UInt8[Array, "N glyph_width height"]  # Column by column, as lines are put together.
Picture = UInt8[Array, "height width"]
Tables = UInt8[Array, "N table_height table_width"]
Grain = Int32[Array, "height width"]  # In parts of grey levels.

_CHANCE = 65536  # parts of a probability
# Rows and columns of a digit's table that are left empty around it: one for strokes that grow, one
# to fade into. One more is added below and to the right, for what is mixed with them.
_MARGIN = 2


class Choices(NamedTuple):
    """All that is random in a line, but for its noise.

    Attributes:
      num_symbols: what is written, unless the picture ends before.
      slant, thickness: of the line, in 1/256 (of a column for each row; of a pixel).
      noise: of the line, in 1/256 of the most there is.
      left, right: its margins.
      digits: numbers of the digits, where a symbol is no space.
      coins: where a space was drawn.
      scales, shifts: of each symbol, in 1/256 (of the source's size; of a row).
      gaps, word_gaps: columns before each symbol, and of each space.
    """

    num_symbols: Count
    slant: Count
    thickness: Count
    noise: Count
    left: Count
    right: Count
    digits: PerSymbol
    coins: WhichSymbols
    scales: PerSymbol
    shifts: PerSymbol
    gaps: PerSymbol
    word_gaps: PerSymbol


class Line(NamedTuple):
    """A line and what is in it.

    Attributes:
      picture: light ink on dark; 0 from column `length` on.
      length: columns up to the end of the right margin.
      labels: class numbers, 0 after the last symbol, as are:
      starts, ends: the first and the last column of ink of each symbol; all columns of a space.
      num_symbols: how many there are.
    """

    picture: Picture
    length: Count
    labels: PerSymbol
    starts: PerSymbol
    ends: PerSymbol
    num_symbols: Count


def largest_glyph(recipe: DigitLines, box_height: int, box_width: int) -> tuple[int, int]:
    """Height and width of the largest symbol that a digit in a box of this size can become."""
    # A stroke may grow by one pixel on each side, and fades out over half a pixel.
    height = (box_height + 3) * recipe.scale[1]
    width = (box_width + 3) * recipe.scale[1] + height * max(map(abs, recipe.slant))
    # Odd where boxes are, since digits of their own size then fall on whole columns.
    odd = box_width % 2
    return math.ceil(height), 2 * math.ceil((width - odd) / 2) + odd


def draw_line(
    recipes: Sequence[DigitLines],
    turn: Count,
    digits: Digits,
    labels: DigitLabels,
    space: int,
    key: PRNGKey,
) -> Line:
    """Draws one line.

    Args:
      recipes: how it may look, in pictures of one size with as many symbols at most.
      turn: which of these it is.
      digits: each standing in the middle at the bottom of its box.
      labels: their class numbers.
      space: the class number of a space.
      key: where all that is random comes from.
    """
    # Choosing costs next to nothing, so that it is done for all recipes; drawing is done once.
    chosen = [choose(recipe, len(digits), key) for recipe in recipes]
    choices, grain = jax.tree.map(lambda *ways: jax.lax.select_n(turn, *ways), *chosen)
    max_symbols, width = recipes[0].max_symbols, recipes[0].width
    spaces = _spaces(choices)
    glyphs = draw_glyphs(recipes, turn, digits[choices.digits], choices)
    first, glyph_widths = _inked(glyphs)
    widths = jnp.where(spaces, choices.word_gaps, glyph_widths)
    starts = choices.left + _places(widths, choices.gaps, spaces)
    ends = starts + widths - 1

    fits = (jnp.arange(max_symbols) < choices.num_symbols) & (ends + choices.right < width)
    num_symbols = fits.sum(dtype=jnp.int32)
    num_symbols -= spaces[num_symbols - 1].astype(jnp.int32)  # None is written at the end.
    written = jnp.arange(max_symbols) < num_symbols
    length = ends[num_symbols - 1] + 1 + choices.right

    ink = _put_together(width, glyphs, starts - first, starts, ends, written, spaces)
    if any(recipe.noise[1] for recipe in recipes):
        noisy = (ink.astype(jnp.int32) << 16) + (grain >> 8) * choices.noise + LEVEL // 2
        ink = jnp.clip(noisy >> 16, 0, 255).astype(jnp.uint8)
    step_mask = (jnp.arange(width) < length)[None]
    return Line(
        picture=jnp.where(step_mask, ink, 0),
        length=length,
        labels=jnp.where(written, jnp.where(spaces, space, labels[choices.digits]), 0),
        starts=jnp.where(written, starts, 0),
        ends=jnp.where(written, ends, 0),
        num_symbols=num_symbols,
    )


def choose(recipe: DigitLines, num_digits: int, key: PRNGKey) -> tuple[Choices, Grain]:
    """Draws all that is random in a line: the choices, and the most noise there is."""
    symbols = [recipe.max_symbols]
    least, most = recipe.noise
    pixels = [recipe.height, recipe.width] if most else [0]
    line, digit, coin, scale, shift, gap, word_gap, noise_words = words(
        key, [6], *6 * [symbols], pixels
    )
    choices = Choices(
        num_symbols=_between(line[0], (recipe.min_symbols, recipe.max_symbols)),
        slant=_between(line[1], recipe.slant, PLACE),
        thickness=_between(line[2], recipe.thickness, PLACE),
        left=_between(line[3], recipe.margin),
        right=_between(line[4], recipe.margin),
        noise=_between(line[5], (least / most if most else 0, 1), PLACE),
        digits=_between(digit, (0, num_digits - 1)),
        coins=(coin >> 16).astype(jnp.int32) < round(_CHANCE * recipe.spaces),
        scales=_between(scale, recipe.scale, PLACE),
        shifts=_between(shift, recipe.shift, PLACE),
        gaps=_between(gap, recipe.gap),
        word_gaps=_between(word_gap, recipe.word_gap),
    )
    grain = jnp.zeros((recipe.height, recipe.width), jnp.int32)
    return choices, noise(noise_words, most) if most else grain


def _between(
    words: UInt32[Array, "..."], bounds: tuple[float, float], parts: int = 1
) -> Int32[Array, "..."]:
    """Uniform whole numbers of parts, both bounds included."""
    least, most = (round(parts * bound) for bound in bounds)
    return least + below(words, np.array(most - least + 1))


def _spaces(choices: Choices) -> WhichSymbols:
    """Where spaces are: not first, not last, and every other one of those drawn in a row."""
    place = jnp.arange(len(choices.coins))
    coins = choices.coins & (place > 0) & (place < choices.num_symbols - 1)
    before = jax.lax.cummax(jnp.where(coins, -1, place))  # The last place without a space.
    return coins & ((place - before) % 2 == 1)


def draw_glyphs(
    recipes: Sequence[DigitLines],
    turn: Count | int,
    digits: UInt8[Array, "N box_height box_width"],
    choices: Choices,
) -> Glyphs:
    """Digits in their own thickness, scale, slant and row, somewhere in the middle of a glyph."""
    box_height, box_width = digits.shape[1:]
    height = recipes[0].height
    glyph_width = max(largest_glyph(recipe, box_height, box_width)[1] for recipe in recipes)
    # The baseline leaves as much room above the tallest digit as below, but for half a row.
    baselines = [(height + round(box_height * recipe.scale[1])) // 2 for recipe in recipes]
    baseline = PLACE * jnp.array(baselines, jnp.int32)[turn]
    step = (PLACE**2 // choices.scales)[:, None]  # Of the source, for one pixel here.

    # Where the middles of pixels are found in a digit's table, in parts of a pixel.
    row = PLACE * jnp.arange(height)[None] + PLACE // 2
    below_baseline = (row - baseline - choices.shifts[:, None]) * step >> 8
    column = PLACE * jnp.arange(glyph_width)[None] + (PLACE - PLACE * glyph_width) // 2
    right_of_middle = column * step >> 8
    leaning = choices.slant * (below_baseline + PLACE * box_height // 2) >> 8
    down = below_baseline + PLACE * (box_height + _MARGIN) - PLACE // 2
    right = right_of_middle + PLACE * (box_width + 2 * _MARGIN - 1) // 2

    table = jnp.pad(digits, ((0, 0), *2 * [(_MARGIN, _MARGIN + 1)]))
    if any(recipe.thickness != (0.0, 0.0) for recipe in recipes):
        table = _thickened(table, choices.thickness)
    four = four_pixels(table)
    # In a loop, since the compiler would else make all this anew for each pixel.
    return jax.lax.map(_looked_up, (four, down, right, leaning))


def _looked_up(
    places: tuple[FourPixels, PerRow, PerColumn, PerRow],
) -> UInt8[Array, "glyph_width height"]:
    """Bilinear interpolation at rows `down` and columns `right + leaning`, in parts of a pixel."""
    four, down, right, leaning = places
    rows, columns = four.shape
    row = jnp.clip(down, 0, PLACE * (rows - 1))[None]
    column = jnp.clip(right[:, None] + leaning[None], 0, PLACE * (columns - 1))
    levels = interpolated(four, row, column)
    return (levels + LEVEL // 2 >> 16).astype(jnp.uint8)


def _thickened(table: Tables, thickness: Count) -> Tables:
    """Digits, mixed with what they are with a pixel more or less all round."""
    inner = table[:, 1:-1, 1:-1]
    neighbours = [table[:, :-2, 1:-1], table[:, 2:, 1:-1], table[:, 1:-1, :-2], table[:, 1:-1, 2:]]
    thick, thin = inner, inner
    for neighbour in neighbours:
        thick, thin = jnp.maximum(thick, neighbour), jnp.minimum(thin, neighbour)
    old = inner.astype(jnp.int32)
    new = jnp.where(thickness > 0, thick, thin).astype(jnp.int32)
    mixed = (PLACE * old + jnp.abs(thickness) * (new - old) + PLACE // 2) >> 8
    return jnp.pad(mixed.astype(jnp.uint8), ((0, 0), (1, 1), (1, 1)))


def _inked(glyphs: Glyphs) -> tuple[PerSymbol, PerSymbol]:
    """The first column of each glyph's ink, and how many columns that has."""
    brightest = glyphs.max(axis=2)
    # Digits that are all fainter have their ink where they are brightest.
    ink = brightest >= jnp.minimum(brightest.max(axis=1, keepdims=True), INK)
    first = ink.argmax(axis=1).astype(jnp.int32)
    last = ink.shape[1] - 1 - ink[:, ::-1].argmax(axis=1).astype(jnp.int32)
    return first, last - first + 1


def _places(widths: PerSymbol, gaps: PerSymbol, spaces: WhichSymbols) -> PerSymbol:
    """The first column of each symbol, counted from that of the first."""
    before = jnp.roll(widths, 1)
    gaps = jnp.maximum(gaps, -(jnp.minimum(widths, before) // 2))
    beside_space = spaces | jnp.roll(spaces, 1)
    gaps = jnp.where(beside_space, 0, gaps).at[0].set(0)
    return jnp.cumsum(widths + gaps) - widths


def _put_together(
    num_columns: int,
    glyphs: Glyphs,
    origins: PerSymbol,
    starts: PerSymbol,
    ends: PerSymbol,
    written: WhichSymbols,
    spaces: WhichSymbols,
) -> Picture:
    """The ink of all symbols, where that of two meets the brighter one.

    Args:
      origins: where the first column of each glyph would be.
    """
    column = jnp.arange(num_columns)
    begun = ((starts[None] <= column[:, None]) & written[None]).sum(axis=1, dtype=jnp.int32)
    _, glyph_width, height = glyphs.shape
    columns = glyphs.reshape(-1, height)

    def ink_of(symbol: PerColumn) -> UInt8[Array, "width height"]:
        inked = (symbol >= 0) & (column <= ends[symbol]) & ~spaces[symbol]
        source = jnp.where(inked, symbol * glyph_width + column - origins[symbol], 0)
        return jnp.where(inked[:, None], columns[source], 0)

    # Since no symbol covers more than half of another, a column has ink of at most two: of the last
    # that has begun, and of the one before it.
    return jnp.maximum(ink_of(begun - 1), ink_of(begun - 2)).T
