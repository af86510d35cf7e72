"""How lines of writing look: place and height of their letters, thickness of ink, tilt."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import scipy  # Its parts are loaded when they are used.
from jaxtyping import Bool, UInt8
from PIL import Image

from seqvision.data.files.ruled_lines import longest_row

Pixels = UInt8[np.ndarray, "_ _"]
Ink = Bool[np.ndarray, "_ _"]

# Thickness is measured, and changed, in pictures so many times as high.
FINE = 4
_INK = 128
# Specks are smaller than such a part of the largest letter.
_SPECK = 0.02
# Rise for each column that is looked for in joined writing: about 7 degrees.
_STEEPEST = 0.12
_MOST_PIXELS = 20_000
# Letters of which the slopes between all pairs are taken.
_MOST_LETTERS = 500
# A part so many times as wide as high is several letters.
_JOINED = 3
# Percent of the lines of a set, at each end, that do not count.
_EXTREMES = 0.5
# What is as near to a range, as a part of it, is like what is in it.
_NEAR = 0.1


class Look(NamedTuple):
    """What a line looks like, in rows of its picture.

    Attributes:
      foot: the first row below its letters, of most of them.
      size: height of most letters.
      thickness: of its strokes.
      rise: how much lower its last column of ink stands than its first.
      longest: the part of all columns that its longest row has ink in.
    """

    foot: float
    size: float
    thickness: float
    rise: float
    longest: float


class Range(NamedTuple):
    """Of a measure of a set's lines."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Range":
        ends = (_EXTREMES, 50, 100 - _EXTREMES)
        return cls(*(float(value) for value in np.percentile(list(values), ends)))

    def has(self, value: float) -> bool:
        """Whether a value is in the range, or near it."""
        near = _NEAR * (self.most - self.least)
        return self.least - near <= value <= self.most + near


@dataclasses.dataclass(frozen=True)
class Looks:
    """How the lines of a set look: a range for each field of `Look`.

    Attributes:
      height: rows of their pictures.
    """

    height: int
    foot: Range
    size: Range
    thickness: Range
    rise: Range
    longest: Range

    @classmethod
    def of_lines(cls, lines: Iterable[Pixels]) -> "Looks | None":
        """The looks of lines of one height; None where none has ink."""
        lines = list(lines)
        found = [look for line in lines if (look := look_of(line)) is not None]
        if not found:
            return None
        ranges = (Range.of(values) for values in zip(*found, strict=True))
        return cls(lines[0].shape[0], *ranges)

    @classmethod
    def from_json(cls, facts: dict[str, Any] | None) -> "Looks | None":
        """The looks as they were written by `dataclasses.asdict`.

        Raises:
          KeyError, TypeError, ValueError: they are damaged.
        """
        if facts is None:
            return None
        ranges = {name: Range(*map(float, facts[name])) for name in Look._fields}
        return cls(height=int(facts["height"]), **ranges)

    def have(self, look: Look) -> bool:
        """Whether a line looks like those of the set."""
        return (
            self.foot.has(look.foot)
            and self.size.has(look.size)
            and self.thickness.has(look.thickness)
            and self.rise.has(look.rise)
        )


class Letters(NamedTuple):
    """Parts of ink that hang together, without dots, accents and specks: (N,) float64 each."""

    feet: np.ndarray
    heights: np.ndarray
    places: np.ndarray


def look_of(pixels: Pixels) -> Look | None:
    """The look of a line, light ink on dark; None where it has no ink."""
    if (ink := ink_of(pixels)) is None:
        return None
    letters = letters_of(ink)
    return Look(
        foot=float(np.median(letters.feet)),
        size=float(np.median(letters.heights)),
        thickness=thickness_of(finer(pixels)) / FINE,
        rise=rise_of(ink) * width_of(ink),
        longest=longest_row(pixels)[0],
    )


def ink_of(pixels: Pixels) -> Ink | None:
    """Where the ink is, without specks; None where there is none."""
    ink = pixels >= _INK
    if not ink.any():
        return None
    parts, count = scipy.ndimage.label(ink, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= _SPECK * sizes.max())[parts]


def letters_of(ink: Ink) -> Letters:
    boxes = scipy.ndimage.find_objects(scipy.ndimage.label(ink, np.ones((3, 3)))[0])
    tallest = max(down.stop - down.start for down, _ in boxes)
    tall = [box for box in boxes if 2 * (box[0].stop - box[0].start) > tallest]
    return Letters(
        feet=np.array([down.stop for down, _ in tall], np.float64),
        heights=np.array([down.stop - down.start for down, _ in tall], np.float64),
        places=np.array([(across.start + across.stop) / 2 for _, across in tall]),
    )


def finer(pixels: Pixels) -> Pixels:
    height, width = pixels.shape
    larger = Image.fromarray(pixels).resize((FINE * width, FINE * height), Image.Resampling.BICUBIC)
    return np.asarray(larger)


def band_of(ink: Ink) -> tuple[int, int]:
    """The first row of ink, and the first below it."""
    rows = np.flatnonzero(ink.any(axis=1))
    return int(rows[0]), int(rows[-1]) + 1


def width_of(ink: Ink) -> int:
    columns = np.flatnonzero(ink.any(axis=0))
    return int(columns[-1] - columns[0])


def thickness_of(pixels: Pixels) -> float:
    """Mean thickness of strokes: four times the mean distance of their pixels from paper."""
    distances = scipy.ndimage.distance_transform_edt(np.pad(pixels >= _INK, 1))
    inside = distances[distances > 0]
    return float(4 * (inside - 0.5).mean()) if inside.size else 0.0


def rise_of(ink: Ink) -> float:
    """How much lower ink stands in each column than in the one before it.

    It is the median slope between the feet of letters, in which letters far from each other weigh
    more, or, where all of a line hangs together, the slope at which its rows are the sharpest.
    """
    letters = letters_of(ink)
    if len(letters.feet) == 1:
        height = ink.any(axis=1).sum()
        return _sharpest_slope(ink) if width_of(ink) > _JOINED * height else 0.0
    letters = Letters(*(part[:: -(-len(part) // _MOST_LETTERS)] for part in letters))
    apart = letters.places - letters.places[:, None]
    lower = letters.feet - letters.feet[:, None]
    after = apart > 0
    if not after.any():
        return 0.0
    slopes, weights = lower[after] / apart[after], apart[after]
    order = slopes.argsort()
    weighed = np.cumsum(weights[order])
    return float(slopes[order][np.searchsorted(weighed, weighed[-1] / 2)])


def _sharpest_slope(ink: Ink) -> float:
    """The slope at which the sum of the squares of the rows' ink is the largest."""
    rows, columns = np.nonzero(ink)
    step = -(-len(rows) // _MOST_PIXELS)
    rows, columns = rows[::step].astype(np.float64), columns[::step].astype(np.float64)
    columns -= columns.mean()
    best, reach = 0.0, _STEEPEST
    for _ in range(3):
        slopes = best + np.linspace(-reach, reach, 25)
        best = float(max(slopes, key=lambda slope: _sharpness(rows - slope * columns)))
        reach /= 10
    return best


def _sharpness(levels: np.ndarray) -> float:
    levels = levels - levels.min()
    row = levels.astype(np.intp)
    part = levels - row
    counts = np.bincount(row, 1 - part, row.max() + 2) + np.bincount(row + 1, part, row.max() + 2)
    return float(counts @ counts)
