"""The network of live reading in onnxruntime."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from seqvision.inference.stream_network import StreamNetwork
from seqvision.models.line_reader import LineReader
from seqvision.onnx.live_step import live_step
from seqvision.onnx.session import load

_MOST_STEPS = 64
_MOST_FOR_ONE_THREAD = 16
"""Lines; for so few, threads wait for each other longer than they compute."""


class OnnxReader(StreamNetwork):
    """Columns of lines in onnxruntime; its memory is that of `models.line_steps`."""

    def __init__(
        self, model: LineReader, params: Mapping[str, Any], height: int, start: Any
    ) -> None:
        """Takes a network that `onnx.live_step.can_step`.

        Args:
          model: the network.
          params: its weights, as numpy arrays.
          height: rows of a column.
          start: the memory before the first column, as numpy arrays.
        """
        self._model, self._params, self._height = model, params, height
        self._sessions: dict[bool, Any] = {}
        self.memory = self._start = start
        leaves, self._structure = jax.tree.flatten(start)
        self._num_threads = 1 if len(leaves[0]) <= _MOST_FOR_ONE_THREAD else 0

    def size_of(self, num_steps: int) -> int:
        return min(num_steps, _MOST_STEPS)

    def read(self, steps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        with_lengths = bool(lengths.min() < steps.shape[2])
        session, names = self._session(with_lengths)
        given = [steps, lengths] if with_lengths else [steps]
        inputs = dict(zip(names, given + jax.tree.leaves(self.memory), strict=True))
        logits, *after = session.run(None, inputs)
        self.memory = jax.tree.unflatten(self._structure, after)
        return np.asarray(logits)

    def _session(self, with_lengths: bool) -> tuple[Any, list[str]]:
        if with_lengths not in self._sessions:
            graph = live_step(self._model, self._params, self._height, with_lengths)
            session = load(graph.model().SerializeToString(), self._num_threads)
            names = [given.name for given in session.get_inputs()]
            self._sessions[with_lengths] = session, names
        return self._sessions[with_lengths]
