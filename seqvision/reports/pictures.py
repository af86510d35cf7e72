"""Pictures within a page: arrays as data URIs."""

import base64
import io

import numpy as np
from PIL import Image

_LARGEST = 192
"""Pixels of the longer side: what is larger is scaled down."""
_LARGEST_FRAME = 80
_MOST_FRAMES = 16
_ROWS, _COLUMNS = 64, 160
"""Of a picture of features, about; some of the features where there are more."""


def picture_of(array: np.ndarray) -> np.ndarray:
    """What is shown of an example: an image as it is, frames or features beside each other."""
    if array.ndim == 3:
        return array
    return columns(array) if array.dtype == np.float32 else strip(array)


def frames_of(array: np.ndarray) -> list[int]:
    """Numbers of the frames of a clip that are beside each other, from 1; of an image none."""
    if array.ndim == 3:
        return []
    shown = range(len(array)) if array.dtype == np.float32 else chosen_frames(len(array))
    return [number + 1 for number in shown]


def chosen_frames(length: int) -> list[int]:
    """All frames, or the middle one of each part of a long clip."""
    count = min(length, _MOST_FRAMES)
    return ((np.arange(count) + 0.5) * length / count).astype(int).tolist()


def picture_uri(picture: np.ndarray, of_clip: bool) -> str:
    """Its address; frames beside each other may be wider than an image."""
    return data_uri(picture, largest=1280 if of_clip else _LARGEST)


def data_uri(array: np.ndarray, largest: int = _LARGEST) -> str:
    """A picture as a `data:` address.

    Args:
      array: uint8 (height, width, channels); of 1 channel grey, of 3 colours, of others the first.
      largest: pixels of its longer side.
    """
    is_colour = array.shape[-1] == 3
    image = Image.fromarray(array if is_colour else array[..., 0])
    if max(image.size) > largest:
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if is_colour and max(image.size) > 64:
        image.save(file, format="JPEG", quality=85)
    else:
        image.save(file, format="PNG", optimize=True)
    kind = "jpeg" if file.getvalue()[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def strip(clip: np.ndarray) -> np.ndarray:
    """Frames of a clip beside each other, some of them where there are many.

    Args:
      clip: uint8 (T, height, width, channels).

    Returns:
      (height, n * width, channels) of n frames, see `chosen_frames`.
    """
    frames = clip[chosen_frames(len(clip))]
    count = len(frames)
    step = -(-max(frames.shape[1:3]) // _LARGEST_FRAME)
    if step > 1:  # By means of squares of pixels; what is left at the borders is cut off.
        height, width = (size // step * step for size in frames.shape[1:3])
        cut = frames[:, :height, :width].astype(np.float32)
        parts = cut.reshape(count, height // step, step, width // step, step, -1)
        frames = parts.mean(axis=(2, 4)).astype(np.uint8)
    return np.concatenate(list(frames), axis=1)


def columns(clip: np.ndarray) -> np.ndarray:
    """The features of each frame as a column, from the smallest (black) to the largest (white).

    Args:
      clip: float32 (T, 1, 1, D).

    Returns:
      uint8 (rows, columns, 1): means of neighbouring features, each frame as wide as the others.
    """
    values = clip.reshape(len(clip), -1).T
    rows = min(len(values), _ROWS)
    starts = np.arange(rows) * len(values) // rows
    sums = np.add.reduceat(values, starts, axis=0)
    means = sums / np.diff([*starts, len(values)])[:, None]
    low, high = float(means.min()), float(means.max())
    grey = (255 * (means - low) / max(high - low, 1e-12)).astype(np.uint8)
    tall, wide = max(1, _ROWS // rows), max(1, _COLUMNS // len(clip))
    return grey.repeat(tall, axis=0).repeat(wide, axis=1)[..., None]
