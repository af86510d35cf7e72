"""Frames of clips as steps, in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.host.convolution import products_3x3
from seqvision.models.parameters import convolutions


class HostFrames:
    """`models.sequences.Frames`: the features of `models.cnn.CNN` of each frame."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Takes the parameters of the CNN, by block, as numpy arrays."""
        blocks = convolutions(params)
        self._kernels = [block["kernel"].reshape(-1, block["kernel"].shape[-1]) for block in blocks]
        self._biases = [block["bias"] for block in blocks]

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Frames (S, n, height, width, channels) in [0, 1] as steps (S, n, D)."""
        maps = frames.reshape(-1, *frames.shape[2:])
        for kernel, bias in zip(self._kernels, self._biases, strict=True):
            maps = _block(maps, kernel, bias)
        return maps.reshape(*frames.shape[:2], -1)


def _block(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """`models.cnn.ConvBlock`: (N, height, width, C) to half of height and width, rounded up.

    Args:
      images: float32.
      kernel: (9 C, channels).
      bias: (channels,).
    """
    count, height, width, channels = images.shape
    padded = np.zeros((count, height + 2, width + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = images
    down, across = -(-height // 2), -(-width // 2)
    # An odd last row or column stands alone.
    even = np.full((count, 2 * down, 2 * across, len(bias)), -np.inf, np.float32)
    even[:, :height, :width] = products_3x3(padded, kernel)
    rows = np.maximum(even[:, ::2], even[:, 1::2])
    maps = np.maximum(rows[:, :, ::2], rows[:, :, 1::2]) + bias
    return np.maximum(maps, 0, out=maps)
