"""A line reader stepped in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.host.columns import HostColumns
from seqvision.models.host.layers import HostLayers
from seqvision.models.line_reader import LineReader


class HostReader:
    """`models.line_reader.LineReader` of one direction, in float32, for S lines side by side."""

    def __init__(self, model: LineReader, params: Mapping[str, Any]) -> None:
        """Takes the weights.

        Args:
          model: the network.
          params: its weights, as numpy arrays.
        """
        self._columns = HostColumns(params.get("columns", {}).get("cnn"))
        self._layers = HostLayers(model.recurrent, params["recurrent"])
        # Summed in float64: in float32 these sums are most of what logits are wrong by.
        dense = params["classifier"]
        self._kernel, self._bias = (dense[name].astype(np.float64) for name in ("kernel", "bias"))

    def start(self, num_lines: int, height: int) -> tuple[Any, Any]:
        """The memory before the first column: of the columns, and of the layers."""
        return self._columns.start(num_lines, height), self._layers.start(num_lines)

    def read(
        self, columns: np.ndarray, memory: tuple[Any, Any], lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, tuple[Any, Any]]:
        """Reads the next columns of each line.

        Args:
          columns: uint8 (S, height, n, 1).
          memory: after the columns before.
          lengths: (S,), how many of the columns each line has; n by default.

        Returns:
          Logits (S, n, K), and the memory after the last column of each line.
        """
        mask = None if lengths is None else np.arange(columns.shape[2]) < lengths[:, None]
        inputs = np.divide(columns, np.float32(255), dtype=np.float32)
        steps, before = self._columns.read(inputs, memory[0], lengths)
        outputs, layers = self._layers.read(steps, memory[1], mask)
        return self.logits(outputs), (before, layers)

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """(S, n, K), of the last layer's outputs (S, n, H)."""
        return (outputs @ self._kernel + self._bias).astype(np.float32)
