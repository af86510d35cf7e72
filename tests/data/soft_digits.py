"""Soft digits, one image for each label, and lines of them."""

import jax
import numpy as np
from scipy import ndimage

from seqvision.data.synthetic.digit_lines import DigitLinesSplit
from seqvision.data.synthetic.line_recipe import LEVELS, DigitLines

CLEAN, HARD = LEVELS["clean"], LEVELS["hard"]
HEIGHT, SPACE = 32, 4

Batch = dict[str, np.ndarray]
take = jax.jit(DigitLinesSplit.take)


def soft_digit(height: int, width: int, brightness: int) -> np.ndarray:
    """A soft L, unlike itself turned or mirrored, somewhere in an image of 20 x 20."""
    image = np.zeros((20, 20))
    top, left = 18 - height, 2
    image[top:18, left : left + 3] = image[15:18, left : left + width] = 1
    image = ndimage.gaussian_filter(image, 0.7, truncate=2)
    return np.round(brightness * image / image.max()).astype(np.uint8)


# One image for each label, so that a label says what is to be seen.
DIGITS = np.stack([soft_digit(12, 5, 255), soft_digit(8, 11, 160), soft_digit(14, 8, 100)])
DIGITS = DIGITS[..., None]
LABELS = np.arange(3, dtype=np.int32)


def split_of(
    recipe: DigitLines, images: np.ndarray = DIGITS, seed: int = 0, split: str = "train"
) -> DigitLinesSplit:
    labels = LABELS[: len(images)]
    return DigitLinesSplit((recipe,), images, labels, SPACE - 1, seed, split, 5000)


def lines_of(split: DigitLinesSplit, num_lines: int) -> Batch:
    return jax.tree.map(np.asarray, take(split.arrays, np.arange(num_lines, dtype=np.int32)))


def each(lines: Batch) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]]:
    """Picture, labels, starts, ends (without padding) and length of each line."""
    found = []
    for number, count in enumerate(lines["label_lengths"]):
        of_line = (lines[name][number, :count] for name in ("labels", "starts", "ends"))
        picture = lines["inputs"][number, ..., 0]
        found.append((picture, *of_line, int(lines["lengths"][number])))
    return found
