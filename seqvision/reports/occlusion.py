"""Occlusion: how the probability of a class changes where a time step is blanked."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from seqvision.config.schema import Settings
from seqvision.tasks.predictions import Prediction

_MOST_BANDS = 56
# The axis of an image, or of a clip, along which steps lie; of pixels and patches, along which
# rows of them lie.
_AXES = {
    "rows": (0, "row"),
    "cnn_rows": (0, "row"),
    "pixels": (0, "row"),
    "patches": (0, "row"),
    "columns": (1, "column"),
    "cnn_columns": (1, "column"),
    "frames": (0, "frame"),
    "features": (0, "frame"),
}


class Bands(NamedTuple):
    """Along which axis what is blanked lies.

    Attributes:
      axis: of an image (height, width, channels) or a clip (T, height, width, channels).
      name: what one step of that axis is: a row, a column or a frame.
      size: so many of them are blanked at once.
    """

    axis: int
    name: str
    size: int

    def count(self, length: int) -> int:
        """How many bands so many rows, columns or frames make."""
        return -(-length // self.size)

    def words(self, number: int, length: int) -> str:
        """Which rows, columns or frames a band is of, from 1."""
        start, stop = number * self.size + 1, min((number + 1) * self.size, length)
        return f"{self.name} {start}" if start == stop else f"{self.name}s {start} to {stop}"


def bands_of(settings: Settings, length: Callable[[int], int]) -> Bands | None:
    """What to blank; None where the network reads all of an image in one step.

    Args:
      settings: of the run.
      length: of its inputs along an axis.
    """
    model = settings.model
    if model.sequence not in _AXES:
        return None
    axis, name = _AXES[model.sequence]
    size = model.patch_size if model.sequence == "patches" else 1
    while -(-length(axis) // size) > _MOST_BANDS:
        size += 1
    return Bands(axis, name, size)


def blanked(array: np.ndarray, bands: Bands) -> Iterator[np.ndarray]:
    """Copies of an image or clip, in each of which one band has the median brightness of it all."""
    blank = np.median(array, axis=tuple(range(array.ndim - 1))).astype(array.dtype)
    for number in range(bands.count(array.shape[bands.axis])):
        copy = np.moveaxis(array.copy(), bands.axis, 0)
        copy[number * bands.size : (number + 1) * bands.size] = blank
        yield np.moveaxis(copy, 0, bands.axis)


def occlusion(
    predict: Callable[[Iterable[np.ndarray]], Iterable[Prediction]],
    arrays: list[np.ndarray],
    classes: list[int],
    bands: Bands,
) -> list[np.ndarray]:
    """The change of the probability of a class when each band is blanked, a row for each array.

    Args:
      predict: an `inference.predictor.Predictor`.
      arrays: images or clips.
      classes: of each, the class whose probability is looked at.
      bands: what is blanked.
    """
    variants = (one for array in arrays for one in (array, *blanked(array, bands)))
    predictions = iter(predict(variants))
    changes = []
    for array, number in zip(arrays, classes, strict=True):
        count = bands.count(array.shape[bands.axis])
        whole, *others = (
            float(next(predictions)["probabilities"][number]) for _ in range(1 + count)
        )
        changes.append(np.array(others) - whole)
    return changes


def occlusion_words(changes: np.ndarray, name: str, bands: Bands, length: int) -> str:
    """The band that matters most, as a sentence; `name` is that of the class."""
    number = int(np.abs(changes).argmax())
    change = 100 * float(changes[number])
    where = bands.words(number, length)
    if abs(change) < 1:
        return f"No single {bands.name} matters: blanking one changes {name} by less than a point."
    way = "lowers" if change < 0 else "raises"
    return f"Blanking {where} {way} {name} most, by {abs(change):.2f} points."
