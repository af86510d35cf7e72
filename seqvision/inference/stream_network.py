"""The networks of live reading, on the host or compiled for the devices."""

import abc
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.models.classifier import SequenceClassifier
from seqvision.models.host.classifier import HostClassifier
from seqvision.models.host.reader import HostReader
from seqvision.models.line_reader import LineReader
from seqvision.models.line_steps import read_lines, start_lines
from seqvision.models.parameters import on_host
from seqvision.models.steps import read_steps, start_memory, step_axis
from seqvision.runs.saved_run import Run
from seqvision.runtime.cpu_devices import num_sharing
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated, shard_batch

# Steps in one call are padded to one of these numbers. For each a program is compiled, and another
# for steps that not all streams have.
_SIZES = (1, 8, 64)
_MOST_ON_HOST = 16
"""So many streams, or fewer, are read on the host; a compiled program takes longer to call."""
_MOST_MULTIPLICATIONS = 48_000_000
"""Of a step of all streams on the host: some 3 ms of one core, of which the devices may be more."""


class StreamNetwork(abc.ABC):
    """A network that keeps the memory of S streams.

    Attributes:
      memory: a tree of arrays (S, ...), on the host or the devices.
    """

    memory: Any
    _start: Any
    """The memory before the first step, as numpy arrays."""

    @abc.abstractmethod
    def size_of(self, num_steps: int) -> int:
        """How many steps, read or empty, to give it at once."""

    @abc.abstractmethod
    def read(self, steps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Logits (S, n, K) of the next steps.

        Args:
          steps: uint8; of lines columns (S, height, n, 1), else (S, n, ...).
          lengths: (S,), how many of them each stream has.
        """

    def start(self, streams: list[int]) -> None:
        """Starts new lines, images or clips."""

        def renewed(new: np.ndarray, old: np.ndarray) -> np.ndarray:
            array = np.array(old)
            array[streams] = new[streams]
            return array

        self.restore(jax.tree.map(renewed, self._start, jax.device_get(self.memory)))

    def restore(self, memory: Any) -> None:
        """Goes on from a memory of numpy arrays."""
        self.memory = memory


def create_network(model: LineReader, params: Any, height: int, num_streams: int) -> StreamNetwork:
    """The network of a run that reads lines, where it is fastest.

    Args:
      model: the network.
      params: its weights.
      height: rows of a column.
      num_streams: lines side by side.
    """
    if _on_host(model.dtype, num_streams, _multiplications(params, (height, 1))):
        reader = HostReader(model, on_host(params))
        return HostNetwork(reader, reader.start(num_streams, height), time_axis=2)

    def read(params: Any, carry: Any, columns: Any, lengths: Any) -> Any:
        return read_lines(model, params, to_unit_range(columns), lengths, carry)

    start = start_lines(model, params, num_streams, height)
    return DeviceNetwork(read, params, start, num_streams, _sizes(model.dtype), time_axis=2)


def create_classifier_network(
    model: SequenceClassifier, params: Any, input_shape: tuple[int, ...], num_streams: int
) -> StreamNetwork:
    """The network of a run that classifies step by step, where it is fastest.

    Args:
      model: the network, see `models.steps.step_axis`.
      params: its weights.
      input_shape: of an image (height, width, channels), or of a clip (T, ...).
      num_streams: images or clips side by side.
    """
    start = start_memory(model, num_streams)
    if _on_host(model.dtype, num_streams, _multiplications(params, input_shape[-3:-1])):
        return HostNetwork(HostClassifier(model, on_host(params)), start, time_axis=1)

    def read(params: Any, memory: Any, steps: Any, lengths: Any) -> Any:
        return read_steps(model, params, to_unit_range(steps), lengths, memory)

    return DeviceNetwork(read, params, start, num_streams, _sizes(model.dtype), time_axis=1)


def classifier_steps(run: Run) -> tuple[int, str]:
    """The axis of an image or clip along which steps come, and what they are.

    Raises:
      UserError: the run reads text, or needs whole images.
    """
    if run.settings.reads_text:
        raise UserError(
            f"{run.workdir}: this run reads text and knows no classes; choose a run trained on"
            " images or clips, or read it with StreamReader"
        )
    assert isinstance(run.model, SequenceClassifier)
    try:
        return step_axis(run.model)
    except UserError as error:
        raise UserError(
            f"{run.workdir}: {error}; choose a run of one direction with config.model.sequence of"
            " rows, columns, pixels or frames, or --mode=predict (from Python: Predictor)"
        ) from None


class HostNetwork(StreamNetwork):
    """Steps on the host, in numpy."""

    def __init__(self, reader: HostReader | HostClassifier, start: Any, time_axis: int) -> None:
        """Takes a network, the memory before its first step, and the axis of the steps."""
        self._reader, self._time_axis = reader, time_axis
        self.memory = self._start = start

    def size_of(self, num_steps: int) -> int:
        return min(num_steps, _SIZES[-1])

    def read(self, steps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        all_read = lengths.min() == steps.shape[self._time_axis]
        logits, self.memory = self._reader.read(steps, self.memory, None if all_read else lengths)
        return logits


class DeviceNetwork(StreamNetwork):
    """Compiled steps on all devices, to which the streams are divided."""

    def __init__(
        self,
        read: Callable[..., Any],
        params: Any,
        start: Any,
        num_streams: int,
        sizes: tuple[int, ...],
        time_axis: int,
    ) -> None:
        """Gets ready to read.

        Args:
          read: `read(params, memory, steps, lengths) -> logits, memory`; lengths are None where
            each stream has all steps.
          params: the weights.
          start: the memory before the first step.
          num_streams: S.
          sizes: numbers of steps in one call.
          time_axis: the axis of the steps.
        """
        self._sizes, self._time_axis = sizes, time_axis
        mesh = create_mesh(num_sharing(jax.device_count(), num_streams))
        self._sharding = batch_sharding(mesh)
        self._params = jax.device_put(params, replicated(mesh))
        self._start = start
        self._read = shard_batch(read, mesh, num_replicated=1)
        self.restore(start)

    def size_of(self, num_steps: int) -> int:
        return next((size for size in self._sizes if size >= num_steps), self._sizes[-1])

    def read(self, steps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        # A program of its own for the case that no stream ends: it masks nothing.
        all_read = lengths.min() == steps.shape[self._time_axis]
        given = None if all_read else lengths
        logits, self.memory = self._read(self._params, self.memory, steps, given)
        return np.asarray(logits)

    def restore(self, memory: Any) -> None:
        self.memory = jax.device_put(memory, self._sharding)


def _on_host(dtype: Any, num_streams: int, multiplications: int) -> bool:
    """Whether the host reads streams whose steps take so many multiplications each.

    Decided once: what the host and a compiled program remember of a line has other shapes.
    """
    is_little = num_streams * multiplications <= _MOST_MULTIPLICATIONS
    return _in_float32(dtype) and num_streams <= _MOST_ON_HOST and is_little


def _multiplications(params: Any, size: tuple[int, ...]) -> int:
    """Of a step: of a frame (height, width), or of a column (height, 1)."""
    blocks: Any = next(
        (params[name]["cnn"] for name in ("columns", "sequence") if name in params), {}
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 2)
    for number in range(len(blocks)):  # Each has half as many rows and columns as the one before.
        count += blocks[f"block_{number}"]["conv"]["kernel"].size * math.prod(size)
        size = tuple(-(-length // 2) for length in size)
    return int(count)


def _sizes(dtype: Any) -> tuple[int, ...]:
    """Not 1 for bfloat16: XLA takes the loop of a single step apart, and then its product fails on
    CPU ("BF16 x BF16 = F32", jax 0.9.2) or is rounded otherwise than in a whole sequence."""
    return _SIZES if _in_float32(dtype) else _SIZES[1:]


def _in_float32(dtype: Any) -> bool:
    return dtype is None or jnp.dtype(dtype) == jnp.float32
