"""Pictures within a page: arrays as data URIs."""

import base64
import io

import numpy as np
from PIL import Image

_LARGEST = 192
"""Pixels of the longer side: what is larger is scaled down."""
_LARGEST_FRAME = 80
_MOST_FRAMES = 16


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
      (height, n * width, channels) of n frames, each the middle one of its part of the clip.
    """
    count = min(len(clip), _MOST_FRAMES)
    chosen = ((np.arange(count) + 0.5) * len(clip) / count).astype(int)
    frames = clip[chosen]
    step = -(-max(frames.shape[1:3]) // _LARGEST_FRAME)
    if step > 1:  # By means of squares of pixels; what is left at the borders is cut off.
        height, width = (size // step * step for size in frames.shape[1:3])
        cut = frames[:, :height, :width].astype(np.float32)
        parts = cut.reshape(count, height // step, step, width // step, step, -1)
        frames = parts.mean(axis=(2, 4)).astype(np.uint8)
    return np.concatenate(list(frames), axis=1)
