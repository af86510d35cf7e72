"""The network of live reading in onnxruntime."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from seqvision.inference.stream_network import StreamNetwork
from seqvision.models.host.reader import HostReader
from seqvision.models.line_reader import LineReader
from seqvision.onnx.live_step import live_step
from seqvision.onnx.session import load

_MOST_STEPS = 64
_MOST_FOR_ONE_THREAD = 16
"""Lines; for so few, threads wait for each other longer than they compute."""


class OnnxReader(StreamNetwork):
    """Columns of lines in onnxruntime, on the cores of the host."""

    _time_axis = 2

    def __init__(
        self, model: LineReader, params: Mapping[str, Any], num_lines: int, height: int
    ) -> None:
        """Takes a network that `onnx.live_step.can_step`.

        Args:
          model: the network.
          params: its weights, as numpy arrays.
          num_lines: S.
          height: rows of a column.
        """
        self._numpy = HostReader(model, params)
        self.memory = self._start = self._numpy.start(num_lines, height)
        self._structure = jax.tree.structure(self._start)

        def session(with_lengths: bool) -> tuple[Any, list[str]]:
            graph = live_step(model, params, height, with_lengths)
            num_threads = 1 if num_lines <= _MOST_FOR_ONE_THREAD else 0
            made = load(graph.model().SerializeToString(), num_threads)
            return made, [given.name for given in made.get_inputs()]

        # Now, since the first push is to take no longer than others. One line has all columns.
        self._sessions = [session(number > 0) for number in range(min(num_lines, 2))]

    def size_of(self, num_steps: int) -> int:
        return min(num_steps, _MOST_STEPS)

    def read(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        given = self._where_fewer(steps, lengths)
        session, names = self._sessions[given is not None]
        arrays = [steps, *([] if given is None else [given]), *jax.tree.leaves(self.memory)]
        outputs, *after = session.run(None, dict(zip(names, arrays, strict=True)))
        self.memory = jax.tree.unflatten(self._structure, after)
        return self._numpy.logits(outputs)
