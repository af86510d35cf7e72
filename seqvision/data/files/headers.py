"""Headers of image files: what is known of a file without its pixels, found out once."""

import functools
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from seqvision.data.files.deep import is_deep
from seqvision.data.files.opening import UnreadableImageError, opened_image
from seqvision.data.files.stacks import check_stack
from seqvision.data.files.volumes import is_volume, volume_header

# Other formats keep a preview, not a next frame, in their second image.
_ANIMATED_FORMATS = {"GIF", "PNG", "WEBP", "TIFF", "AVIF"}
# Of the files that were asked about last, for those who ask about a whole set again.
_KEPT = 2**20


class Header(NamedTuple):
    """What an image file is.

    Attributes:
      is_animated: it has several frames; None where they are a stack that is refused, or there is
        no picture in it.
      is_plain: one picture of 8 bits without opacity.
    """

    is_animated: bool | None
    is_plain: bool


def header_of(path: Path) -> Header | None:
    """The header of an image file; None where it cannot be opened."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return _header(path, stat.st_size, stat.st_mtime_ns)


def has_frames(opened: Image.Image) -> bool:
    """Whether an open file is a clip."""
    return opened.format in _ANIMATED_FORMATS and getattr(opened, "is_animated", False)


@functools.lru_cache(maxsize=_KEPT)
def _header(path: Path, _size: int, _changed: int) -> Header | None:
    try:
        if is_volume(path):
            header = volume_header(path)
            is_animated = header.num_frames > 1 if header.num_frames else None
            return Header(is_animated, header.num_frames == 1 and not header.kind)
        with opened_image(path) as opened:
            several = getattr(opened, "is_animated", False)
            is_plain = not (several or is_deep(opened) or opened.has_transparency_data)
            try:
                check_stack(opened)
            except UnreadableImageError:
                return Header(None, is_plain)
            return Header(has_frames(opened), is_plain)
    except UnreadableImageError:
        return None
