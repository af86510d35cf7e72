"""The networks of live reading, on the host or compiled for the devices."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqvision.models.host.classifier import HostClassifier
from seqvision.models.host.reader import HostReader
from seqvision.runtime.cpu_devices import num_sharing
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated, shard_batch

# Steps in one call are padded to one of these numbers. For each a program is compiled, and another
# for steps that not all streams have.
_SIZES = (1, 8, 64)


class StreamNetwork(abc.ABC):
    """A network that keeps the memory of S streams.

    Attributes:
      memory: a tree of arrays (S, ...), on the host or the devices.
    """

    _start: Any
    """The memory before the first step, as numpy arrays."""
    _time_axis: int
    """The axis of the steps."""

    @abc.abstractmethod
    def size_of(self, num_steps: int) -> int:
        """How many steps, read or empty, to give it at once."""

    @abc.abstractmethod
    def read(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """Logits (S, n, K) of the next steps.

        Args:
          steps: uint8; of lines columns (S, height, n, 1), else (S, n, ...).
          lengths: how many of them each stream has.
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

    def _where_fewer(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray | None:
        """The lengths (S,), or None if each stream has all steps: then nothing is masked."""
        if min(lengths) == steps.shape[self._time_axis]:
            return None
        return np.array(lengths, np.int32)


class HostNetwork(StreamNetwork):
    """Steps on the host, in numpy."""

    def __init__(self, reader: HostReader | HostClassifier, start: Any, time_axis: int) -> None:
        """Takes a network, the memory before its first step, and the axis of the steps."""
        self._reader, self._time_axis = reader, time_axis
        self.memory = self._start = start

    def size_of(self, num_steps: int) -> int:
        return min(num_steps, _SIZES[-1])

    def read(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        given = self._where_fewer(steps, lengths)
        logits, self.memory = self._reader.read(steps, self.memory, given)
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

    def read(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        given = self._where_fewer(steps, lengths)
        logits, self.memory = self._read(self._params, self.memory, steps, given)
        return np.asarray(logits)

    def restore(self, memory: Any) -> None:
        self.memory = jax.device_put(memory, self._sharding)


class BySize(StreamNetwork):
    """Single steps by one network and several by another, which keep the same memory."""

    def __init__(self, single: StreamNetwork, several: StreamNetwork) -> None:
        """Takes two networks of the same streams, at their start."""
        self._single, self._several = single, several
        self._now = several

    @property
    def memory(self) -> Any:
        return self._now.memory

    def size_of(self, num_steps: int) -> int:
        return 1 if num_steps == 1 else self._several.size_of(num_steps)

    def read(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        is_single = steps.shape[self._now._time_axis] == 1
        chosen = self._single if is_single else self._several
        if chosen is not self._now:
            chosen.restore(jax.device_get(self._now.memory))
            self._now = chosen
        return chosen.read(steps, lengths)

    def start(self, streams: list[int]) -> None:
        self._now.start(streams)

    def restore(self, memory: Any) -> None:
        self._now.restore(memory)


def sizes_of(dtype: Any) -> tuple[int, ...]:
    """How many steps a compiled call may have.

    Not 1 in bfloat16: XLA takes the loop of a single step apart, and then its product fails on CPU
    ("BF16 x BF16 = F32", jax 0.9.2) or is rounded otherwise than in a whole sequence.
    """
    return _SIZES if in_float32(dtype) else _SIZES[1:]


def in_float32(dtype: Any) -> bool:
    """Whether a network computes so."""
    return dtype is None or jnp.dtype(dtype) == jnp.float32
