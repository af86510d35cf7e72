"""The network of live reading, on the host or compiled for the devices."""

import abc
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqvision.data.preprocessing import to_unit_range
from seqvision.models.host.reader import HostReader
from seqvision.models.line_reader import LineReader
from seqvision.runtime.cpu_devices import num_sharing
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated, shard_batch

# Columns in one call are padded to one of these numbers: for each, a program is compiled.
_SIZES = (1, 8, 64)
_MOST_ON_HOST = 16
"""So many streams, or fewer, are read on the host; a compiled program takes longer to call."""


class StreamNetwork(abc.ABC):
    """A `LineReader` that keeps the memory of S lines.

    Attributes:
      memory: a tree of arrays (S, ...), on the host or the devices.
    """

    memory: Any
    _start: Any
    """The memory before the first column, as numpy arrays."""

    @abc.abstractmethod
    def size_of(self, num_columns: int) -> int:
        """How many columns, read or empty, to give it at once."""

    @abc.abstractmethod
    def read(self, columns: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Logits (S, n, K) of the next columns.

        Args:
          columns: uint8 (S, height, n, 1).
          lengths: (S,), how many of them each line has.
        """

    def start(self, streams: list[int]) -> None:
        """Starts new lines."""

        def renewed(new: np.ndarray, old: np.ndarray) -> np.ndarray:
            array = np.array(old)
            array[streams] = new[streams]
            return array

        self.restore(jax.tree.map(renewed, self._start, jax.device_get(self.memory)))

    def restore(self, memory: Any) -> None:
        """Goes on from a memory of numpy arrays."""
        self.memory = memory


def create_network(model: LineReader, params: Any, height: int, num_streams: int) -> StreamNetwork:
    """The network of a run, where it is fastest.

    Args:
      model: the network.
      params: its weights.
      height: rows of a column.
      num_streams: lines side by side.
    """
    in_float32 = model.dtype is None or jnp.dtype(model.dtype) == jnp.float32
    on_host = in_float32 and num_streams <= _MOST_ON_HOST
    return (HostNetwork if on_host else DeviceNetwork)(model, params, height, num_streams)


class HostNetwork(StreamNetwork):
    """Steps on the host, in numpy."""

    def __init__(self, model: LineReader, params: Any, height: int, num_streams: int) -> None:
        """See `create_network`."""
        self._reader = HostReader(model, jax.tree.map(np.asarray, jax.device_get(params)))
        self.memory = self._start = self._reader.start(num_streams, height)

    def size_of(self, num_columns: int) -> int:
        return min(num_columns, _SIZES[-1])

    def read(self, columns: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        all_read = lengths.min() == columns.shape[2]
        logits, self.memory = self._reader.read(columns, self.memory, None if all_read else lengths)
        return logits


class DeviceNetwork(StreamNetwork):
    """Compiled steps on all devices, to which the streams are divided."""

    def __init__(self, model: LineReader, params: Any, height: int, num_streams: int) -> None:
        """See `create_network`."""
        mesh = create_mesh(num_sharing(jax.device_count(), num_streams))
        self._sharding = batch_sharding(mesh)
        self._params = jax.device_put(params, replicated(mesh))
        self._start = _start(model, params, height, num_streams)

        def read(params: Any, carry: Any, columns: Any, lengths: Any) -> Any:
            inputs = to_unit_range(columns)
            return model.apply({"params": params}, inputs, lengths, carry, method=LineReader.read)

        self._read = shard_batch(read, mesh, num_replicated=1)
        self.restore(self._start)

    def size_of(self, num_columns: int) -> int:
        return next((size for size in _SIZES if size >= num_columns), _SIZES[-1])

    def read(self, columns: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        logits, self.memory = self._read(self._params, self.memory, columns, lengths)
        return np.asarray(logits)

    def restore(self, memory: Any) -> None:
        self.memory = jax.device_put(memory, self._sharding)


def _start(model: LineReader, params: Any, height: int, num_streams: int) -> Any:
    """The memory before the first column: all of it is 0."""
    column = jax.ShapeDtypeStruct((num_streams, height, 1, 1), jnp.float32)
    lengths = jax.ShapeDtypeStruct((num_streams,), jnp.int32)
    read = functools.partial(model.apply, method=LineReader.read)
    _, carry = jax.eval_shape(read, {"params": params}, column, lengths)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), carry)
