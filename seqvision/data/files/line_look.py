"""How lines of writing look: place and height of their ink, its thickness, its tilt."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy import ndimage

from seqvision.data.files.ruled_lines import longest_row

Pixels = UInt8[np.ndarray, "height width"]
Ink = Bool[np.ndarray, "height width"]

# Thickness is measured, and changed, in pictures so many times as high.
FINE = 4
_INK = 128
# Rise for each column: about 7 degrees.
_STEEPEST = 0.12
_MOST_PIXELS = 20_000
# A part so many times as wide as high is several letters.
_JOINED = 3
# Of the lines of a set, so much at each end does not count; what is as near to the others does.
_EXTREMES = 0.5
_NEAR = 0.1


class Look(NamedTuple):
    """What a line looks like, in rows of its picture.

    Attributes:
      top, bottom: the first row of ink, and the first below it.
      thickness: of its strokes.
      rise: how much lower its last column of ink stands than its first.
      longest: the part of all columns that its longest row has ink in.
    """

    top: float
    bottom: float
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
        """Whether a value is in the range, or as near to it as a tenth of the range."""
        near = _NEAR * (self.most - self.least)
        return self.least - near <= value <= self.most + near


@dataclasses.dataclass(frozen=True)
class Looks:
    """How the lines of a set look; see `Look`.

    Attributes:
      height: rows of their pictures.
    """

    height: int
    top: Range
    bottom: Range
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
        measures = {name: Range.of(getattr(one, name) for one in found) for name in Look._fields}
        size = Range.of(one.bottom - one.top for one in found)
        return cls(height=lines[0].shape[0], size=size, **measures)

    @classmethod
    def from_json(cls, facts: dict[str, Any] | None) -> "Looks | None":
        """The looks as they were written by `dataclasses.asdict`."""
        if facts is None:
            return None
        ranges = {name: Range(*map(float, facts[name])) for name in facts if name != "height"}
        return cls(height=int(facts["height"]), **ranges)

    def have(self, look: Look) -> bool:
        """Whether a line looks like those of the set."""
        measures = (self.top, self.bottom, self.thickness, self.rise)
        return self.size.has(look.bottom - look.top) and all(
            measure.has(value) for measure, value in zip(measures, look[:4], strict=True)
        )


def look_of(pixels: Pixels) -> Look | None:
    """The look of a line, light ink on dark; None where it has no ink."""
    if (ink := of_ink(pixels)) is None:
        return None
    top, bottom = band_of(ink)
    return Look(
        top=float(top),
        bottom=float(bottom),
        thickness=thickness_of(finer(pixels)) / FINE,
        rise=rise_of(ink) * _width_of(ink),
        longest=longest_row(pixels)[0],
    )


def of_ink(pixels: Pixels) -> Ink | None:
    """Where the ink is, without specks; None where there is none."""
    ink = pixels >= _INK
    if not ink.any():
        return None
    parts, count = ndimage.label(ink, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= sizes.max() / 50)[parts]


def finer(pixels: Pixels) -> Pixels:
    height, width = pixels.shape
    larger = Image.fromarray(pixels).resize((FINE * width, FINE * height), Image.Resampling.BICUBIC)
    return np.asarray(larger)


def band_of(ink: Ink) -> tuple[int, int]:
    """The first row of ink, and the first below it."""
    rows = np.flatnonzero(ink.any(axis=1))
    return int(rows[0]), int(rows[-1]) + 1


def _width_of(ink: Ink) -> int:
    columns = np.flatnonzero(ink.any(axis=0))
    return int(columns[-1] - columns[0])


def thickness_of(pixels: Pixels) -> float:
    """Mean thickness of strokes: four times the mean distance of their pixels from paper."""
    ink = pixels >= _INK
    if not ink.any():
        return 0.0
    distances = ndimage.distance_transform_edt(np.pad(ink, 1))
    return float(4 * (distances[distances > 0] - 0.5).mean())


def rise_of(ink: Ink) -> float:
    """How much lower ink stands in each column than in the one before it.

    It is the median slope between the feet of all letters, or, where all of a line hangs together,
    the slope at which its rows are the sharpest.
    """
    boxes = ndimage.find_objects(ndimage.label(ink, np.ones((3, 3)))[0])
    heights = np.array([down.stop - down.start for down, _ in boxes])
    letters = [box for box, height in zip(boxes, heights, strict=True) if 2 * height > heights.max()]
    if len(letters) > 1:
        feet = np.array([down.stop for down, _ in letters], np.float64)
        places = np.array([(across.start + across.stop) / 2 for _, across in letters])
        after = places > places[:, None]
        if not after.any():
            return 0.0
        apart = (places - places[:, None])[after]
        slopes = (feet - feet[:, None])[after] / apart
        # Letters far from each other tell more.
        order = slopes.argsort()
        weights = np.cumsum(apart[order])
        return float(slopes[order][np.searchsorted(weights, weights[-1] / 2)])
    down, across = letters[0]
    joined = across.stop - across.start > _JOINED * (down.stop - down.start)
    return _sharpest_slope(ink) if joined else 0.0


def _sharpest_slope(ink: Ink) -> float:
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
    below = levels.astype(np.intp)
    part = levels - below
    counts = np.bincount(below, 1 - part)
    more = np.bincount(below + 1, part)
    more[: len(counts)] += counts
    return float(more @ more)
