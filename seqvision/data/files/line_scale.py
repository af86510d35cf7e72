"""Lines of writing at the scale of those that a network was trained on."""

import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy import ndimage

from seqvision.data.files.line_look import FINE, Looks, band_of, look_of, of_ink, rise_of, thickness_of
from seqvision.data.files.ruled_lines import without_rules

Pixels = UInt8[np.ndarray, "height width"]

# Rows in which rules and tilt are looked for.
_LEAST_ROWS, _MOST_ROWS = 64, 256
# A row of a rule covers so much of a line at least, and so much more than any row of writing.
_COVERED, _MORE = 0.85, 0.1
# Writing no higher than so many strokes, such as a dash, does not tell its scale.
_DASH = 2.0


def to_scale(pixels: Pixels, looks: Looks) -> Pixels:
    """Brings a line to the height, place, thickness and level that lines had in training.

    What is as it was in training is left alone: a line that looks like those is only scaled to
    their height. Otherwise, ruled lines are taken away; a tilted line is turned; ink too large, too
    small, too high or too low is brought to the middle of its range; so are strokes too thin or too
    thick. Columns before and after the ink are kept, at the same scale.

    Args:
      pixels: light ink on dark, of any size; see `line_ink.inked_line`.
      looks: those of the training lines.

    Returns:
      (looks.height, n) uint8.
    """
    plain = resized(pixels, looks.height)
    look = look_of(plain)
    covered = max(_COVERED, looks.longest.most + _MORE)
    if look is None or (looks.have(look) and look.longest < covered):
        return plain
    work = resized(pixels, min(max(pixels.shape[0], _LEAST_ROWS), _MOST_ROWS))
    work, slope = without_rules(work, covered)
    ink = of_ink(work)
    if ink is None or is_dash(work):
        return resized(work, looks.height)
    framed = _turned(work, rise_of(ink) if slope is None else slope, looks)
    return _thick_as(_in_place(framed, looks, turned=framed is not work), looks)


def resized(pixels: Pixels, height: int) -> Pixels:
    """A line at another height, with its proportions kept."""
    if pixels.shape[0] == height:
        return pixels
    size = max(1, round(pixels.shape[1] * height / pixels.shape[0])), height
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def is_dash(pixels: Pixels) -> bool:
    ink = of_ink(pixels)
    if ink is None:
        return True
    top, bottom = band_of(ink)
    return bottom - top < _DASH * thickness_of(np.where(ink, pixels, 0).astype(np.uint8))


def _turned(pixels: Pixels, slope: float, looks: Looks) -> Pixels:
    """The line with its letters' feet level; itself where it is no more tilted than in training."""
    turned = _rotated(pixels, slope)
    ink = of_ink(turned)
    if slope == 0 or ink is None:
        return pixels
    top, bottom = band_of(ink)
    columns = np.flatnonzero(ink.any(axis=0))
    rise = slope * (columns[-1] - columns[0]) * looks.size.middle / (bottom - top)
    return pixels if looks.rise.has(rise) else turned


def _rotated(pixels: Pixels, slope: float) -> Pixels:
    angle = math.degrees(math.atan(slope))
    image = Image.fromarray(pixels).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(image)


def _in_place(pixels: Pixels, looks: Looks, turned: bool) -> Pixels:
    """The line with its ink at the height of training, FINE times as large."""
    ink = of_ink(pixels)
    assert ink is not None
    top, bottom = band_of(ink)
    scale = looks.height / pixels.shape[0]
    at = looks.top.has(scale * top), looks.bottom.has(scale * bottom)
    if not turned and all(at) and looks.size.has(scale * (bottom - top)):
        return resized(pixels, FINE * looks.height)
    scale = looks.size.middle / (bottom - top)
    first = round(bottom - looks.bottom.middle / scale)
    last = first + round(looks.height / scale)
    above, below = max(0, -first), max(0, last - pixels.shape[0])
    padded = np.pad(pixels, ((above, below), (0, 0)))
    return resized(padded[first + above : last + above], FINE * looks.height)


def _thick_as(pixels: Pixels, looks: Looks) -> Pixels:
    """The line in its height, from one FINE times as large, with strokes as thick as in training."""
    now = thickness_of(pixels) / FINE
    if looks.thickness.has(now) or now == 0:
        return resized(pixels, looks.height)
    ink = pixels >= 128
    # From the edge, inwards.
    depth = ndimage.distance_transform_edt(ink) - ndimage.distance_transform_edt(~ink)
    depth -= np.sign(depth) / 2
    more = FINE * (looks.thickness.middle - now) / 2
    new = ((depth + more + 0.5).clip(0, 1) * 255).round().astype(np.uint8)
    size = new.shape[1] // FINE or 1, looks.height
    return np.asarray(Image.fromarray(new).resize(size, Image.Resampling.BOX))
