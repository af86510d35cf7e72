"""`.npy` files of one image or one clip."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from seqvision.data.files.deep import from_values
from seqvision.data.files.opening import UnreadableImageError, check_not_empty, reading
from seqvision.data.files.physical_values import check_size, picture
from seqvision.runtime.regular_file import regular

_ALLOWED = "(height, width), (height, width, 3), (T, height, width) or (T, height, width, 1 or 3)"


class NumpyHeader(NamedTuple):
    """Frames of a file, their size, and their kind, see `Tones.kinds`; "" of uint8."""

    num_frames: int
    height: int
    width: int
    kind: str


def is_numpy(path: Path) -> bool:
    """Whether a file is `.npy`, by its name."""
    return path.suffix.lower() == ".npy"


def numpy_header(path: Path) -> NumpyHeader:
    """The header of a file; see `numpy_pictures`."""
    with reading():
        frames = _frames(path)
        num_frames, height, width = frames.shape[:3]
        return NumpyHeader(num_frames, height, width, _kind(frames))


def numpy_pictures(path: Path) -> list[Image.Image]:
    """The frames of a file: uint8 as pictures of 8 bits, other real numbers as deep ones.

    Of three axes the last one is colours where it has 3 values, else the first one is time.

    Raises:
      UnreadableImageError: it is no `.npy` file, damaged, or holds anything else.
    """
    with reading():
        frames = _frames(path)
        check_size(*frames.shape[:3])
        return [array_picture(np.asarray(frame), _kind(frames)) for frame in frames]


def array_picture(frame: np.ndarray, kind: str) -> Image.Image:
    """An array (height, width, 1 or 3) as a picture: deep where it is not uint8.

    Raises:
      UnreadableImageError: colours that are neither uint8 nor uint16.
    """
    grey = frame.shape[-1] == 1
    if frame.dtype == np.uint8:
        return Image.fromarray(frame[..., 0] if grey else frame)
    if grey:
        return picture(frame[..., 0], kind)
    if frame.dtype == np.uint16:
        return from_values(frame)
    raise UnreadableImageError(
        f"colours as {frame.dtype}; uint8 and uint16 are read: save"
        " np.round(array * (255 / WHITE)).astype(np.uint8)"
    )


def _kind(frames: np.ndarray) -> str:
    if frames.dtype == np.uint8:
        return ""
    names = {"f": "floats", "i": "signed", "u": "unsigned", "b": "true and false"}
    return f"numbers without a unit, {names[frames.dtype.kind]}"


def _frames(path: Path) -> np.ndarray:
    """(T, height, width, 1 or 3), from the disk as far as it is looked at."""
    check_not_empty(path)
    try:
        array = np.load(regular(path), mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise UnreadableImageError(
            "no .npy file of numbers, or a damaged one; save it with np.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise UnreadableImageError("a .npz file under another name; rename it")
    if array.dtype.kind not in "biuf":
        raise UnreadableImageError(f"{array.dtype}; whole numbers and floats are read")
    in_colour = array.shape[-1:] == (3,)
    if array.ndim == 2 or (array.ndim == 3 and in_colour):
        array = array[None]
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise UnreadableImageError(f"an array of the shape {array.shape}; {_ALLOWED} are read")
    return array
