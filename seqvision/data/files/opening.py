"""Opening of image files: which formats are tried, and how large they may be."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from seqvision.data.files.libtiff import silence_libtiff
from seqvision.runtime.regular_file import regular

# Those of `clips.IMAGE_SUFFIXES` and GIFs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "AVIF", "BMP", "PPM", "JPEG2000")
MOST_BYTES = 2**31
"""What the frames of a file, or an array of another one, may take when they are decoded."""
# The longest that a JPEG can be: one of 1 x 60,000,000 takes minutes to be scaled.
_LONGEST_SIDE = 65535


class UnreadableImageError(Exception):
    """The file is missing or no image; the message gives the reason."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turns any error of a decoder in this block into one with a short reason.

    Raises:
      UnreadableImageError: for any error, since a damaged file makes decoders raise almost
        anything.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of odd metadata, over several lines.
            yield
    except (UnreadableImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"more pixels than Pillow reads, {2 * (Image.MAX_IMAGE_PIXELS or 0):,}; cut it, or make"
            " it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError("it is no image, or a damaged one") from error
    except Exception as error:
        reason = getattr(error, "strerror", None)  # Of the operating system and of FFmpeg.
        lines = (reason or str(error)).splitlines()
        raise UnreadableImageError(lines[0] if lines else type(error).__name__) from error


@contextlib.contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file, its pixels not being read yet.

    Raises:
      UnreadableImageError: it is missing, none of FORMATS, or too large by its header.
    """
    with reading(), Image.open(regular(path), formats=FORMATS) as opened:
        if max(opened.size) > _LONGEST_SIDE:
            raise UnreadableImageError(
                f"{opened.height} x {opened.width} pixels (height x width); sides of up to"
                f" {_LONGEST_SIDE} are read"
            )
        frames = getattr(opened, "n_frames", 1) if getattr(opened, "is_animated", False) else 1
        if opened.width * opened.height * 3 * frames > MOST_BYTES:
            raise UnreadableImageError(
                f"longer than {MOST_BYTES / 2**30:g} GiB: {frames} frame(s) of {opened.height} x"
                f" {opened.width} (height x width); cut it, or make it smaller"
            )
        if opened.format == "TIFF":
            silence_libtiff()
        yield opened
