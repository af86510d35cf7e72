"""Lines of handwriting, made on the devices from images of digits."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from jax import Array
from jaxtyping import Int32, UInt8

from seqvision.data.alphabet import Alphabet
from seqvision.data.dataset import ArraySplit, Dataset, Split
from seqvision.data.files.paths import few
from seqvision.data.files.pixels import fit
from seqvision.data.synthetic.line_drawing import draw_line, largest_glyph
from seqvision.data.synthetic.line_recipe import DigitLines
from seqvision.data.synthetic.made_split import MadeArrays, MadeSplit, check_grey, make
from seqvision.errors import UserError
from seqvision.shapes import Count, HostImages, HostLabels, PRNGKey

# The test lines are the same for whatever seed a run has, so that figures can be compared.
TEST_SEED = 0

# Rows of the tallest digit of MNIST. The levels are made for these: taller symbols are scaled down.
_SYMBOL_HEIGHT = 20

# Of splits of any number and size.
Symbols: TypeAlias = tuple[UInt8[np.ndarray, "_ _ _ 1"], Int32[np.ndarray, "..."]]
HostDigits = UInt8[np.ndarray, "num_digits box_height box_width"]


class DigitLinesSplit(MadeSplit):
    """The lines of one split. Its digits stand each at the bottom of a box as small as they allow.

    Args:
      recipes: how the lines look: each in its turn, in pictures of one size with as many symbols at
        most.
      images: grey digits on black, each with some ink, (N, height, width, 1); the lines show no
        others.
      labels: which digits they are, (N,), 0 to num_classes - 1.
      num_classes: how many digits there are; the space has the class number after theirs.
      seed, split: what the random numbers are drawn from.
      num_lines: how many lines there are.

    Raises:
      UserError: digits too large for the picture.
    """

    def __init__(
        self,
        recipes: tuple[DigitLines, ...],
        images: HostImages,
        labels: HostLabels,
        num_classes: int,
        seed: int,
        split: str,
        num_lines: int,
    ) -> None:
        digits = _cut_out(images)
        for recipe in recipes:
            _check_fits(recipe, digits.shape[1], digits.shape[2])
        recipe_and_space = (recipes, num_classes + 1)
        super().__init__(recipe_and_space, digits, labels + np.int32(1), seed, split, num_lines)

    @staticmethod
    def take(arrays: MadeArrays, indices: Any) -> dict[str, Any]:
        """The lines with these numbers (B,); see `made_split.make`.

        Returns:
          `inputs` (B, height, width, 1) uint8, light ink on dark; `lengths` (B,) int32, their
          columns, 0 being after them; `labels` (B, N) int32, class numbers, with 0 after them;
          `label_lengths` (B,) int32; `starts` and `ends` (B, N) int32, the first and the last
          column of each symbol's ink, or of a space.
        """
        recipes, space = arrays.recipe

        def line(digits: Array, labels: Array, key: PRNGKey, index: Count) -> dict[str, Array]:
            drawn = draw_line(recipes, index % len(recipes), digits, labels, space, key)
            return {
                "inputs": drawn.picture[..., None],
                "lengths": drawn.length,
                "labels": drawn.labels,
                "label_lengths": drawn.num_symbols,
                "starts": drawn.starts,
                "ends": drawn.ends,
            }

        return make(line, arrays, indices)


def digit_lines(
    recipes: Mapping[str, tuple[DigitLines, ...]],
    source: Dataset,
    seed: int,
    num_lines: Mapping[str, int],
) -> Dataset:
    """Makes lines of a set of digits.

    Args:
      recipes: how the lines look, by split, such as one of LEVELS, or two in turn.
      source: grey images of symbols, whose class names are those symbols; the lines of a
        split are made of the images of that split. Those without ink are passed over, and if one
        has more than 20 rows of ink, as the tallest of MNIST has, all are scaled down.
      seed: what the random numbers are drawn from; those of `test` from TEST_SEED.
      num_lines: by split. Splits with none, here or in the source, are left out.

    Returns:
      Lines; class_names are the symbols of their alphabet, the space last; the fingerprints are
      those of the digits, of which all else is made.

    Raises:
      UserError: the source's images are not grey, or its classes not named by one symbol each.
    """
    check_grey(source, "lines")
    if any(len(name) != 1 for name in source.class_names):
        names = few(list(source.class_names))
        raise UserError(
            f"config.data.name: the classes of {source.name} are named {names},"
            " and lines are made of single symbols; choose a set of digits, such as mnist"
        )
    alphabet = Alphabet((*source.class_names, " "))
    symbols = _scaled({name: _with_ink(split) for name, split in source.splits.items()})
    splits = {
        name: DigitLinesSplit(
            recipes[name],
            images,
            labels,
            source.num_classes,
            TEST_SEED if name == "test" else seed,
            name,
            num_lines[name],
        )
        for name, (images, labels) in symbols.items()
        if num_lines.get(name)
    }
    return dataclasses.replace(
        source,
        class_names=alphabet.symbols,
        splits=splits,
        input_shape=(recipes["test"][0].height, recipes["test"][0].width, 1),
    )


def _with_ink(split: Split) -> Symbols:
    assert isinstance(split, ArraySplit)
    images, labels = split.arrays["inputs"], split.arrays["labels"]
    inked = images.any(axis=(1, 2, 3))
    return (images, labels) if inked.all() else (images[inked], labels[inked])


def _scaled(symbols: Mapping[str, Symbols]) -> Mapping[str, Symbols]:
    """Symbols of all splits, at one scale: the largest at which none is taller than they may be."""
    height, width = next(iter(symbols.values()))[0].shape[1:3]
    size, scaled = height, symbols
    while any(_height_of_ink(images) > _SYMBOL_HEIGHT for images, _ in scaled.values()):
        size -= 1
        scaled = {
            name: (fit(images, size, size * width // height, 1), labels)
            for name, (images, labels) in symbols.items()
        }
    return scaled


def _height_of_ink(images: HostImages) -> int:
    rows = np.any(images, axis=(2, 3))
    return int((rows.shape[1] - rows[:, ::-1].argmax(axis=1) - rows.argmax(axis=1)).max())


def _cut_out(images: HostImages) -> HostDigits:
    """Digits at the bottom, in the middle, of the smallest box that holds each of them."""
    grey = images[..., 0]
    rows, columns = np.any(grey, axis=2), np.any(grey, axis=1)
    height, width = grey.shape[1:]
    top, bottom = rows.argmax(axis=1), height - rows[:, ::-1].argmax(axis=1)
    left, right = columns.argmax(axis=1), width - columns[:, ::-1].argmax(axis=1)
    box_height, box_width = (bottom - top).max(), (right - left).max()
    first_row, first_column = bottom - box_height, left - (box_width - (right - left)) // 2
    # Beyond one edge it goes on at the other, where there is no ink of the digit either.
    row = (first_row[:, None] + np.arange(box_height)) % height
    column = (first_column[:, None] + np.arange(box_width)) % width
    number = np.arange(len(grey))
    return grey[number[:, None, None], row[:, :, None], column[:, None, :]]


def _check_fits(recipe: DigitLines, box_height: int, box_width: int) -> None:
    height, width = largest_glyph(recipe, box_height, box_width)
    height += math.ceil(2 * max(map(abs, recipe.shift)))
    width += 2 * recipe.margin[1]
    if height > recipe.height:
        raise UserError(
            f"config.lines.level: its lines of {recipe.height} rows cannot hold symbols of up to"
            f" {height} rows, as config.data.name has them; choose another level or other symbols"
        )
    if width > recipe.width:
        raise UserError(
            f"config.lines.width, train_width: {recipe.width} columns cannot hold one symbol of up"
            f" to {width} columns with its margins; give at least {width}"
        )
