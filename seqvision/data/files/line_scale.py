"""Lines of writing at the scale of those that a network was trained on."""

import math

import numpy as np
import scipy  # Its parts are loaded when they are used.
from jaxtyping import UInt8
from PIL import Image

from seqvision.data.files.line_look import (
    FINE,
    Ink,
    Looks,
    band_of,
    ink_of,
    letters_of,
    look_of,
    rise_of,
    thickness_of,
    width_of,
)
from seqvision.data.files.ruled_lines import without_rules

Pixels = UInt8[np.ndarray, "_ _"]

# Rows in which rules and tilt are looked for.
_LEAST_ROWS, _MOST_ROWS = 64, 256
# A row of a rule covers so much of a line at least, and so much more than any row of writing.
_COVERED, _MORE = 0.85, 0.1
# Writing no higher than so many strokes, such as a dash, does not tell its scale.
_DASH = 2.0
# Rows of ink, as a part of all, that are cut out and looked at in more detail.
_FEW = 0.4


def to_scale(pixels: Pixels, looks: Looks) -> Pixels:
    """Brings a line to the height, place and thickness that lines had in training.

    What is as it was in training is left alone: a line that looks like those is only scaled to
    their height. Otherwise ruled lines are taken away, and a tilted line is turned; letters too
    large, too small, too high or too low are brought to the middle of their range; strokes too thin
    or too thick come half of the way from its end to its middle, since more would close loops or
    open them; letters are then smaller by what their strokes grow. Columns before and after the ink
    are kept, at the same scale.

    Args:
      pixels: light ink on dark, of any size; see `line_ink.inked_line`.
      looks: those of the training lines.

    Returns:
      (looks.height, n) uint8.
    """
    plain = resized(pixels, looks.height)
    look = look_of(plain)  # None where strokes are so thin that they are faint at this height.
    covered = max(_COVERED, looks.longest.most + _MORE)
    if look is not None and looks.have(look) and look.longest < covered:
        return plain
    work = resized(pixels, min(max(pixels.shape[0], _LEAST_ROWS), _MOST_ROWS))
    work, slope = without_rules(work, covered)
    ink = ink_of(work)
    if ink is None or _is_dash(ink):
        return plain if slope is None else resized(work, looks.height)
    if (cut := _cut_out(pixels, ink)) is not None:
        return to_scale(cut, looks)
    turned = _turned(work, ink, rise_of(ink) if slope is None else slope, looks)
    placed = _in_place(turned, looks, moved=turned is not work)
    if not (growth := _growth(placed, looks)):
        return resized(placed, looks.height)
    return _grown(_in_place(turned, looks, moved=True, growth=growth), growth, looks.height)


def resized(pixels: Pixels, height: int) -> Pixels:
    """A line at another height, with its proportions kept."""
    if pixels.shape[0] == height:
        return pixels
    size = max(1, round(pixels.shape[1] * height / pixels.shape[0])), height
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _cut_out(pixels: Pixels, ink: Ink) -> Pixels | None:
    """The rows around the ink, where these are so few that `ink` has not all their detail."""
    top, bottom = band_of(ink)
    finer = pixels.shape[0] / ink.shape[0]
    if finer <= 1 or bottom - top > ink.shape[0] * _FEW:
        return None
    around = (bottom - top) / 2
    first, last = (max(0, int(finer * row)) for row in (top - around, bottom + around))
    return pixels[first:last]


def _is_dash(ink: Ink) -> bool:
    top, bottom = band_of(ink)
    return bottom - top < _DASH * thickness_of(255 * ink.astype(np.uint8))


def _turned(pixels: Pixels, ink: Ink, slope: float, looks: Looks) -> Pixels:
    """The line with its letters' feet level; itself where it is no more tilted than in training."""
    size = float(np.median(letters_of(ink).heights))
    if looks.rise.has(slope * width_of(ink) * looks.size.middle / size):
        return pixels
    angle = math.degrees(math.atan(slope))
    image = Image.fromarray(pixels).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(image)


def _in_place(pixels: Pixels, looks: Looks, moved: bool, growth: float = 0.0) -> Pixels:
    """The line with its letters as high as in training, and where they stood, FINE times as large.

    Args:
      pixels: in its own margins.
      moved: these are no longer what they were.
      growth: rows by which strokes, and so letters, will be thicker.
    """
    if (ink := ink_of(pixels)) is None:  # It was turned out of sight.
        return resized(pixels, FINE * looks.height)
    letters = letters_of(ink)
    foot, size = float(np.median(letters.feet)), float(np.median(letters.heights))
    scale = looks.height / pixels.shape[0]
    if not moved and looks.foot.has(scale * foot) and looks.size.has(scale * size):
        return resized(pixels, FINE * looks.height)
    top, bottom = band_of(ink)
    rows = looks.height * size / (looks.size.middle - growth)
    # All ink has to be in it, and what its strokes will grow.
    rows = max(rows, (bottom - top) / (1 - max(growth, 0) / looks.height))
    first = foot - rows * (looks.foot.middle - growth / 2) / looks.height
    more = max(growth, 0) / 2 * rows / looks.height
    first = round(max(min(first, top - more), bottom + more - rows))
    last = first + round(rows)
    above, below = max(0, -first), max(0, last - pixels.shape[0])
    padded = np.pad(pixels, ((above, below), (0, 0)))
    return resized(padded[first + above : last + above], FINE * looks.height)


def _growth(pixels: Pixels, looks: Looks) -> float:
    """Rows by which strokes of a line, FINE times as large, are to be thicker; below 0 thinner."""
    now = thickness_of(pixels) / FINE
    if looks.thickness.has(now) or now == 0:
        return 0.0
    least, middle, most = looks.thickness
    end = least if now < middle else most
    size = looks.size.middle
    # Letters are then scaled to `size` less the growth, and their strokes with them.
    growth = (end + (middle - end) / 2 - now) * size / max(size - now, 1)
    return min(max(growth, -size), size / 2)


def _grown(pixels: Pixels, growth: float, height: int) -> Pixels:
    """The line, FINE times as large, in its height with thicker or thinner strokes."""
    ink = pixels >= 128
    # From the edge, inwards.
    depth = scipy.ndimage.distance_transform_edt(ink) - scipy.ndimage.distance_transform_edt(~ink)
    depth -= np.sign(depth) / 2
    new = ((depth + FINE * growth / 2 + 0.5).clip(0, 1) * 255).round().astype(np.uint8)
    size = new.shape[1] // FINE or 1, height
    return np.asarray(Image.fromarray(new).resize(size, Image.Resampling.BOX))
