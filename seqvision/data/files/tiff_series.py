"""TIFFs that Pillow does not read and tifffile does: stacks of one page, planes, other numbers."""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from seqvision.data.files.numpy_file import array_picture
from seqvision.data.files.opening import (
    TiffKindError,
    UnreadableImageError,
    opened_image,
    reading,
)
from seqvision.data.files.physical_values import NO_UNIT, check_size
from seqvision.data.files.stacks import check_stack

_SUFFIXES = {".tif", ".tiff"}
_KEPT = 2**20


class TiffSeriesHeader(NamedTuple):
    """Frames of a file, their size, and their kind, see `Tones.kinds`; "" of 8 bits."""

    num_frames: int
    height: int
    width: int
    kind: str


def is_tiff_series(path: Path) -> bool:
    """Whether a file is a TIFF that Pillow refuses and tifffile, where installed, reads."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        stat = path.stat()
    except OSError:
        return False
    return _header(path, stat.st_size, stat.st_mtime_ns) is not None


def tiff_series_header(path: Path) -> TiffSeriesHeader:
    """The header of such a file."""
    stat = path.stat()
    header = _header(path, stat.st_size, stat.st_mtime_ns)
    assert header is not None
    return header


def tiff_series_pictures(path: Path) -> list[Image.Image]:
    """The frames of the first series of such a file.

    Raises:
      UnreadableImageError: it is damaged, or has colours that are no uint8 or uint16.
    """
    with reading(), _series(path) as series:
        axes, shape = _axes(series)
        header = tiff_series_header(path)
        check_size(header.num_frames, header.height, header.width)
        array = series.asarray().reshape(shape)
        frames = np.moveaxis(array, axes.index("S"), -1) if "S" in axes else array[..., None]
        frames = frames.reshape(header.num_frames, header.height, header.width, -1)
        return [array_picture(frame, header.kind) for frame in frames]


@functools.lru_cache(maxsize=_KEPT)
def _header(path: Path, size: int, _changed: int) -> TiffSeriesHeader | None:
    try:
        with opened_image(path) as opened:
            check_stack(opened)
        return None
    except TiffKindError as error:
        announced = error.num_frames
    except UnreadableImageError:  # Damaged.
        return None
    try:
        with reading(), _series(path) as series:
            axes, shape = _axes(series)
            sizes = dict(zip(axes, shape, strict=True))
            count = next((sizes[axis] for axis in axes if axis not in "YXS"), 1)
            if announced and count != announced:
                return None
            page = series.pages[0]
            behind = count > 1 and not page.is_tiled and page.compression == 1
            if behind and page.dataoffsets[0] + series.nbytes > size:
                return None  # It announces more images than it has bytes for.
            kind = "" if series.dtype == np.uint8 else NO_UNIT
            return TiffSeriesHeader(count, sizes["Y"], sizes["X"], kind)
    except (UnreadableImageError, ImportError):
        return None


@contextmanager
def _series(path: Path) -> Iterator[Any]:
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(path) as file:
        yield file.series[0]


def _axes(series: Any) -> tuple[str, tuple[int, ...]]:
    """The axes that are longer than 1, in tifffile's letters: perhaps one of frames, Y, X and S.

    Raises:
      UnreadableImageError: there are others.
    """
    found = [
        (axis, size)
        for axis, size in zip(series.axes, series.shape, strict=True)
        if size > 1 or axis in "YX"
    ]
    axes = "".join(axis for axis, _ in found)
    frames = axes.replace("Y", "").replace("X", "").replace("S", "")
    colours = dict(found).get("S", 1)
    is_real = series.dtype is not None and series.dtype.kind in "biuf"
    if len(frames) > 1 or frames == "C" or colours not in (1, 3) or not is_real:
        raise UnreadableImageError(f"axes {axes}")
    if axes.replace("S", "") != f"{frames}YX":
        raise UnreadableImageError(f"axes {axes}")
    return axes, tuple(size for _, size in found)
