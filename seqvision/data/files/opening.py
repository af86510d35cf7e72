"""Opening of image files: which formats are tried, and how large they may be."""

import contextlib
import gzip
import importlib.util
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from seqvision.data.files.deep import OWN_TIFF, close_second, has_deep_planes, unknown_tiff
from seqvision.data.files.libtiff import silence_libtiff
from seqvision.data.files.paths import shown
from seqvision.errors import UserError
from seqvision.runtime.regular_file import regular

# Those of `clips.IMAGE_SUFFIXES` and GIFs.
# Pillow has AVIF from 11.3 on, and a name that it does not know is an error.
_AVIF = ("AVIF",) * (importlib.util.find_spec("PIL.AvifImagePlugin") is not None)
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", OWN_TIFF, *_AVIF, "BMP", "PPM", "JPEG2000")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
OR_TIFFFILE = ", or try pip install 'seqvision[medical]'"
"""Ends an error about a TIFF that tifffile may read."""
if importlib.util.find_spec("tifffile"):
    OR_TIFFFILE = ""
MOST_BYTES = 2**31
"""What the frames of a file, or an array of another one, may take when they are decoded."""
# The longest that a JPEG can be: one of 1 x 60,000,000 takes minutes to be scaled.
_LONGEST_SIDE = 65535


class UnreadableImageError(Exception):
    """The file is missing or no image; the message gives the reason."""


class TiffKindError(UnreadableImageError):
    """A TIFF of a kind that Pillow does not read, and tifffile may.

    Attributes:
      num_frames: how many its description announces; 0 where that is not the matter.
    """

    def __init__(self, message: str, num_frames: int = 0) -> None:
        super().__init__(message)
        self.num_frames = num_frames


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
    except (UnreadableImageError, UserError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, the most that are read; cut"
            " it, or make it smaller"
        ) from error
    except (UnidentifiedImageError, SyntaxError) as error:
        raise UnreadableImageError("it is no image, or a damaged one") from error
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise UnreadableImageError("its compressed data are damaged or cut short") from error
    except Exception as error:
        reason = getattr(error, "strerror", None)  # Of the operating system and of FFmpeg.
        lines = (reason or str(error)).splitlines()
        if lines and lines[0].startswith("decoder error"):  # Of libtiff, with a number.
            raise UnreadableImageError("its compressed data are damaged or cut short") from error
        raise UnreadableImageError(lines[0] if lines else type(error).__name__) from error


@contextlib.contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file, its pixels not being read yet.

    Raises:
      UnreadableImageError: it is missing, none of FORMATS, or too large by its header.
      UserError: it is a HEIC picture, and the extra that reads these is not installed.
    """
    with reading(), _open(regular(path)) as opened:
        if max(opened.size) > _LONGEST_SIDE:
            raise UnreadableImageError(
                f"{opened.height} x {opened.width} pixels (height x width); sides of up to"
                f" {_LONGEST_SIDE} are read"
            )
        if has_deep_planes(opened):
            raise TiffKindError(
                "a TIFF with a plane for each colour, of more than 8 bits, which is not read; save"
                f" it with the colours of a pixel side by side (PlanarConfiguration 1){OR_TIFFFILE}"
            )
        frames = getattr(opened, "n_frames", 1) if getattr(opened, "is_animated", False) else 1
        if opened.width * opened.height * 3 * frames > MOST_BYTES:
            raise UnreadableImageError(
                f"longer than {MOST_BYTES / 2**30:g} GiB: {frames} frame(s) of {opened.height} x"
                f" {opened.width} (height x width); cut it, or make it smaller"
            )
        if opened.format == "TIFF":
            silence_libtiff()
        try:
            yield opened
        finally:
            close_second(opened)


def check_not_empty(path: Path) -> None:
    """Raises UnreadableImageError where a file has no bytes."""
    if path.is_file() and not path.stat().st_size:
        raise UnreadableImageError("an empty file")


def _open(path: Path) -> Image.Image:
    check_not_empty(path)
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        if _is_heif(path):
            return _opened_heif(path)
        if kind := unknown_tiff(path):
            raise TiffKindError(
                f"a TIFF of {kind}, which is not read; save it as grey of 16 bits or float32, or as"
                f" colours of 8 or 16 bits{OR_TIFFFILE}"
            ) from None
        raise


def _is_heif(path: Path) -> bool:
    """Whether a file begins as HEIC pictures do (ISO 23008-12, 10.2), whatever its name is."""
    with path.open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS


def _opened_heif(path: Path) -> Image.Image:
    try:
        import pillow_heif
    except ImportError:
        raise UserError(
            f"{shown(path)}: a HEIC picture; reading it needs pillow-heif: pip install"
            " 'seqvision[heic]', then run again"
        ) from None
    pillow_heif.register_heif_opener()
    return Image.open(path, formats=("HEIF",))
