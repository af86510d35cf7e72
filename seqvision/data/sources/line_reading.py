"""Reading of an image of a line, or of a line of a page, in grey and at one height."""

import functools
import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from seqvision.data.files.images import HostImage, read_upright
from seqvision.data.files.line_ink import InkedLine, check_no_page, inked_line
from seqvision.data.files.line_look import Looks
from seqvision.data.files.line_scale import resized, to_scale
from seqvision.data.files.opening import UnreadableImageError, reading
from seqvision.data.sources.written_line import Region, WrittenLine

HostLine = UInt8[np.ndarray, "height _ 1"]

# The proportions of a page may differ by as much from those of its image.
_TOLERANCE = 0.02


def read_line(
    file: Path, height: int, invert: str = "auto", looks: Looks | None = None
) -> HostLine:
    """Reads an image of a line, of any length.

    Args:
      file: the image.
      height: rows to scale it to.
      invert: see `line_ink.inked_line`.
      looks: of the training lines, to which it is brought (see `line_scale.to_scale`); without
        them it is read as lines are in training.

    Raises:
      UnreadableImageError: the file cannot be read, is no whole image, shows paper only, or a page.
    """
    pixels = inked_line(read_upright(file, 1), invert).pixels
    check_no_page(pixels)
    if looks is None:
        return scaled(pixels, height)
    return to_scale(pixels[..., 0], looks)[..., None]


def read_written(line: WrittenLine, invert: str) -> InkedLine:
    """Reads a line in its own size: an image, or a region of one.

    Raises:
      UnreadableImageError: as `read_line`, or the region lies outside.
    """
    if line.region is None:
        return inked_line(read_upright(line.file, 1), invert)
    with reading():
        changed = line.file.stat().st_mtime_ns
    page = _page(line.file, changed)
    return inked_line(cut_out(page, line.region), invert)


@functools.lru_cache(maxsize=1)
def _page(file: Path, _changed: int) -> Image.Image:
    """A page; the lines of one follow each other."""
    return read_upright(file, 1)


def cut_out(page: Image.Image, region: Region) -> Image.Image:
    """The box around a region; what lies outside its outline has the brightness of its paper.

    Raises:
      UnreadableImageError: the page is another one, or the region lies outside.
    """
    across, down = 1.0, 1.0
    if region.page is not None and min(region.page) > 0:
        across, down = page.width / region.page[0], page.height / region.page[1]
        if abs(across / down - 1) > _TOLERANCE:
            raise UnreadableImageError(
                f"its page is {region.page[0]:g}x{region.page[1]:g} and the image"
                f" {page.width}x{page.height}: another one"
            )
    points = [(x * across, y * down) for x, y in region.points]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    box = (
        max(0, math.floor(left)),
        max(0, math.floor(top)),
        min(page.width, math.ceil(right)),
        min(page.height, math.ceil(bottom)),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        raise UnreadableImageError("it lies outside the image of its page")
    line = page.crop(box)
    corners = {(x, y) for x in (left, right) for y in (top, bottom)}
    if len(points) < 3 or set(points) == corners:
        return line
    mask = Image.new("1", line.size)
    ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in points], fill=1, outline=1)
    inside = np.asarray(line)[np.asarray(mask)]
    if inside.size == 0:
        raise UnreadableImageError("its outline holds no pixels")
    return Image.composite(line, Image.new("L", line.size, int(np.median(inside))), mask)


def scaled(pixels: HostImage, height: int) -> HostLine:
    """A line at another height, with its proportions kept."""
    return resized(pixels[..., 0], height)[..., None]


def scaled_width(pixels: HostImage, height: int) -> int:
    """The columns that it then has."""
    return max(1, round(pixels.shape[1] * height / pixels.shape[0]))
