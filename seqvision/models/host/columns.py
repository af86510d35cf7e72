"""Columns of lines as steps, in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.column_cnn import COLUMNS_BEFORE
from seqvision.models.host.convolution import products_3x3
from seqvision.models.parameters import convolutions

Memory = tuple[np.ndarray, ...]
"""For each block of the CNN, (S, channels, height, 2): the last columns of what it reads."""


class HostColumns:
    """`models.sequences.Columns` or `CNNColumns`, of S lines.

    Each block of the CNN keeps its own last columns, so that nothing is computed twice.
    """

    def __init__(self, params: Mapping[str, Any] | None) -> None:
        """Takes the parameters of the blocks.

        Args:
          params: of the CNN, by block, as numpy arrays; None without one.
        """
        blocks = convolutions(params or {})
        self._kernels = [block["kernel"].reshape(-1, block["kernel"].shape[-1]) for block in blocks]
        self._biases = [block["bias"] for block in blocks]

    def start(self, num_lines: int, height: int) -> Memory:
        """The memory before the first column: that of empty columns."""
        memory, maps = [], np.zeros((1, height, COLUMNS_BEFORE, 1), np.float32)
        for kernel, bias in zip(self._kernels, self._biases, strict=True):
            before = maps.transpose(0, 3, 1, 2)
            memory.append(np.repeat(before, num_lines, axis=0))
            maps, _ = _block(before, maps, kernel, bias, None)
        return tuple(memory)

    def read(
        self, columns: np.ndarray, memory: Memory, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, Memory]:
        """Turns the next columns into steps.

        Args:
          columns: (S, height, n, 1) in [0, 1].
          memory: of the columns before.
          lengths: (S,), how many of them each line has; n by default.

        Returns:
          The steps (S, n, D), and the memory after each line's last column.
        """
        after, maps = [], columns
        for kernel, bias, before in zip(self._kernels, self._biases, memory, strict=True):
            maps, last = _block(before, maps, kernel, bias, lengths)
            after.append(last)
        num_lines, _, num_columns, _ = maps.shape
        # Channels first, as `models.column_cnn.ColumnCNN` has them.
        return maps.transpose(0, 2, 3, 1).reshape(num_lines, num_columns, -1), tuple(after)


def _block(
    before: np.ndarray,
    columns: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray,
    lengths: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """`models.column_cnn.ColumnBlock`.

    Args:
      before: (S, C, height, 2), the columns before.
      columns: (S, height, n, C), the next ones.
      kernel: (9 C, channels).
      bias: (channels,).
      lengths: (S,), how many of the next columns each line has; n by default.

    Returns:
      (S, height / 2, n, channels), rounded up, and the last two columns of each line.
    """
    num_lines, height, num_columns, channels = columns.shape
    even, width = height + height % 2, num_columns + COLUMNS_BEFORE
    padded = np.zeros((num_lines, even + 2, width, channels), np.float32)
    read = padded[:, 1 : height + 1]
    read[:, :, :COLUMNS_BEFORE] = before.transpose(0, 2, 3, 1)
    read[:, :, COLUMNS_BEFORE:] = columns
    products = products_3x3(padded, kernel)
    rows = products.reshape(num_lines, even // 2, 2, num_columns, -1)
    maps = np.maximum(rows[:, :, 0], rows[:, :, 1])
    maps += bias
    np.maximum(maps, 0, out=maps)
    if lengths is None:
        return maps, read[:, :, num_columns:].transpose(0, 3, 1, 2)
    places = lengths[:, None, None, None] + np.arange(COLUMNS_BEFORE)[:, None]
    return maps, np.take_along_axis(read, places, axis=2).transpose(0, 3, 1, 2)
