"""Frames of clips as steps, in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.host.convolution import products_3x3
from seqvision.models.parameters import convolutions


class HostFrames:
    """`models.sequences.Frames`: the features of `models.cnn.CNN` of each frame."""

    def __init__(self, params: Mapping[str, Any], padding: str) -> None:
        """Takes the parameters of the CNN, by block, as numpy arrays, and its padding."""
        self._block = _block if padding == "same" else _valid_block
        blocks = convolutions(params)
        self._kernels = [block["kernel"].reshape(-1, block["kernel"].shape[-1]) for block in blocks]
        self._biases = [block["bias"] for block in blocks]

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Frames (S, n, height, width, channels) in [0, 1] as steps (S, n, D)."""
        maps = frames.reshape(-1, *frames.shape[2:])
        for kernel, bias in zip(self._kernels, self._biases, strict=True):
            maps = self._block(maps, kernel, bias)
        return maps.reshape(*frames.shape[:2], -1)


def _block(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """`models.cnn.ConvBlock` with a border: (N, height, width, C) to half of both, rounded up.

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
    return _pooled(even, bias)


def _valid_block(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same without a border: to half of height and width, rounded down, less 1."""
    height, width = (size - size % 2 for size in images.shape[1:3])
    whole = np.ascontiguousarray(images[:, :height, :width])
    return _pooled(products_3x3(whole, kernel), bias)


def _pooled(even: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Max-pool, bias, ReLU, of even height and width."""
    rows = np.maximum(even[:, ::2], even[:, 1::2])
    maps = np.maximum(rows[:, :, ::2], rows[:, :, 1::2]) + bias
    return np.maximum(maps, 0, out=maps)
