"""Recurrent layers of one direction, stepped in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.cells import CELLS
from seqvision.models.host.numpy_operations import NumpyOperations
from seqvision.models.recurrent import RecurrentStack

_OPERATIONS = NumpyOperations()


class HostLayers:
    """`models.recurrent.RecurrentStack` of one direction, in float32."""

    def __init__(self, recurrent: RecurrentStack, params: Mapping[str, Any]) -> None:
        """Takes the parameters of all layers, as numpy arrays.

        Args:
          recurrent: the layers.
          params: theirs, by layer.
        """
        self._layers = [params[f"layer_{n}"]["cell"] for n in range(recurrent.num_layers)]
        self._hidden_size = recurrent.hidden_size
        _OPERATIONS.sigmoid(np.zeros(1, np.float32))  # Loads scipy now, not in the first step.
        self._cell, self._refine = CELLS[recurrent.cell], recurrent.options.refine_gates

    def start(self, num_sequences: int) -> tuple[Any, ...]:
        """The memory of all layers before the first step."""
        zeros = np.zeros((num_sequences, self._hidden_size), np.float32)
        return tuple((zeros, zeros) if self._cell.memory_is_pair else zeros for _ in self._layers)

    def read(
        self, steps: np.ndarray, carry: tuple[Any, ...], mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, tuple[Any, ...]]:
        """Reads the next steps.

        Args:
          steps: (S, n, D).
          carry: of all layers.
          mask: (S, n), False where a sequence has no step: it keeps its memory. All True by
            default.

        Returns:
          The last layer's outputs (S, n, H), of no use where there is no step; and the carry.
        """
        after = []
        for params, memory in zip(self._layers, carry, strict=True):
            steps, memory = self._layer(params, steps, memory, mask)
            after.append(memory)
        return steps, tuple(after)

    def _layer(
        self, params: Any, steps: np.ndarray, memory: Any, mask: np.ndarray | None
    ) -> tuple[np.ndarray, Any]:
        num_sequences, num_steps, _ = steps.shape
        projected = self._cell.project_inputs(_OPERATIONS, params, steps)
        outputs = np.empty((num_sequences, num_steps, self._hidden_size), np.float32)
        for step in range(num_steps):
            new = self._cell.next_memory(
                _OPERATIONS, params, memory, projected[:, step], self._refine, None
            )
            memory = new if mask is None else _kept(mask[:, step, None], new, memory)
            outputs[:, step] = memory[1] if self._cell.memory_is_pair else memory
        return outputs, memory


def _kept(is_step: np.ndarray, new: Any, old: Any) -> Any:
    if isinstance(new, tuple):
        return tuple(_kept(is_step, *pair) for pair in zip(new, old, strict=True))
    return np.where(is_step, new, old)
