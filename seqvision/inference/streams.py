"""Streams: sequences read side by side, whose steps arrive a few at a time."""

import abc
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import jax
import numpy as np

from seqvision.inference.stream_network import StreamNetwork
from seqvision.runs.saved_run import Run

Event = TypeVar("Event")


class StreamState(NamedTuple):
    """All that is kept of S streams; its size does not depend on their lengths.

    Attributes:
      network: the SHA-256 of the weights.
      memory: of the network, see `stream_network.StreamNetwork`, as numpy arrays.
      streams: what else is kept of each stream.
    """

    network: str
    memory: Any
    streams: tuple[Any, ...]


class Streams(abc.ABC, Generic[Event]):
    """S streams and what they have in common: checks, batches of steps, saved state.

    Attributes:
      num_streams: S.
    """

    _name: ClassVar[str]
    """What this is called in messages."""
    _steps: str
    """What the steps are called in messages, such as `columns`."""
    _time_axis: int
    """The axis of a pushed array along which its steps lie."""

    def __init__(self, run: Run, num_streams: int, network: StreamNetwork) -> None:
        """Gets ready for new streams.

        Args:
          run: a trained run.
          num_streams: how many streams to read side by side, see `checked_count`.
          network: that of the run.
        """
        self.num_streams, self._network = num_streams, network
        self._digest = _digest(run.params)

    def push(self, steps: Any) -> list[Event]:
        """Reads the next steps of a stream, or of several in one call.

        Args:
          steps: an array of any number of steps; or such arrays by the numbers of their streams, 0
            to S - 1.

        Returns:
          What these steps gave, stream by stream, each in the order of its steps.

        Raises:
          ValueError: an array of another shape or type, or no such stream; nothing was read.
        """
        if not isinstance(steps, Mapping):
            if self.num_streams > 1:
                raise ValueError(
                    f"{self._steps} of which stream? This {self._name} has {self.num_streams};"
                    f" push them as {{stream number: {self._steps}}}"
                )
            steps = {0: steps}
        checked = {}
        for stream, array in steps.items():
            number = self._stream(stream)
            checked[number] = self._checked(number, array)
        return self._read(checked)

    def reset(self, stream: int | Iterable[int] = 0) -> None:
        """Drops what was read of a stream, or of several, and starts the next one.

        Raises:
          ValueError: no such stream.
        """
        streams = self._streams(stream)
        for one in streams:
            self._start(one)
        self._network.start(streams)

    def save(self) -> StreamState:
        """All that it keeps, in the host's memory: to be pickled, and restored in another process.

        A pickle can run code when it is loaded: load only your own.
        """
        memory = jax.tree.map(np.array, jax.device_get(self._network.memory))
        return StreamState(self._digest, memory, self._kept())

    def restore(self, state: Any) -> None:
        """Goes on from a saved state.

        Args:
          state: what `save` returned.

        Raises:
          ValueError: no state, one of another network or number of streams, or a damaged one.
        """
        if not isinstance(state, StreamState):
            raise ValueError(
                f"{type(state).__name__} is no state of a {self._name}; pass what save() returned"
            )
        if not isinstance(state.network, str) or state.network != self._digest:
            raise ValueError(f"the state is of another network than this {self._name}'s")
        if not isinstance(state.streams, tuple):
            raise ValueError("the state is damaged: what it holds of its streams is no tuple")
        if len(state.streams) != self.num_streams:
            raise ValueError(
                f"the state is of {len(state.streams)} streams; this {self._name} has"
                f" {self.num_streams}"
            )
        self._check_memory(state.memory)
        if not self._fits(state.streams):
            raise ValueError("the state is damaged: what it holds of a stream is none of its kind")
        self._network.restore(state.memory)
        self._keep(state.streams)

    def _check_memory(self, memory: Any) -> None:
        """Refuses what cannot be the memory of this network."""
        other: Any
        structure: Any
        leaves, structure = jax.tree.flatten(self._network.memory)
        try:
            found, other = jax.tree.flatten(memory)
        except (TypeError, ValueError):  # Such as a dictionary of keys without an order.
            found, other = jax.tree.flatten(None)
        shapes = [(leaf.shape, leaf.dtype) for leaf in leaves]
        is_array = all(isinstance(leaf, np.ndarray) for leaf in found)
        if other != structure or not is_array or [(a.shape, a.dtype) for a in found] != shapes:
            raise ValueError("the state is damaged: its arrays have other shapes than those here")
        if not all(np.isfinite(np.asarray(leaf, np.float32)).all() for leaf in found):
            raise ValueError("the state is damaged: its arrays have values that are not finite")

    @abc.abstractmethod
    def _checked(self, stream: int, steps: Any) -> np.ndarray:
        """The next steps of a stream, with a channel axis; ValueError if they cannot be read."""

    @abc.abstractmethod
    def _read(self, steps: dict[int, np.ndarray]) -> list[Event]:
        """Reads the next steps of some streams."""

    @abc.abstractmethod
    def _start(self, stream: int) -> None:
        """Forgets what was read of a stream; its network is started elsewhere."""

    @abc.abstractmethod
    def _kept(self) -> tuple[Any, ...]:
        """What is kept of each stream beside the network's memory."""

    @abc.abstractmethod
    def _fits(self, kept: tuple[Any, ...]) -> bool:
        """Whether it can be what `_kept` returned."""

    @abc.abstractmethod
    def _keep(self, kept: tuple[Any, ...]) -> None:
        """Goes on from what `_kept` returned."""

    def _logits(self, steps: dict[int, np.ndarray]) -> Iterator[tuple[np.ndarray, list[int]]]:
        """Logits (S, n, K) of the next steps, and how many each stream has, part by part."""
        axis = self._time_axis
        longest = max([array.shape[axis] for array in steps.values()], default=0)
        begin = 0
        while begin < longest:
            size = self._network.size_of(longest - begin)
            batch, lengths = self._batch(steps, begin, size)
            yield self._network.read(batch, lengths), lengths
            begin += size

    def _batch(
        self, steps: dict[int, np.ndarray], begin: int, size: int
    ) -> tuple[np.ndarray, list[int]]:
        """The next steps (S, ...), padded to `size`, and how many each stream has."""
        axis = self._time_axis
        if begin == 0 and len(steps) == self.num_streams:  # All of them, and often as many of each.
            arrays = [steps[stream] for stream in range(self.num_streams)]
            shape = list(arrays[0].shape)
            if shape[axis] == size and all(array.shape == arrays[0].shape for array in arrays):
                batch = arrays[0] if self.num_streams == 1 else np.concatenate(arrays)
                return batch.reshape(-1, *shape), [size] * self.num_streams
        before = (slice(None),) * axis
        index = (*before, slice(begin, begin + size))
        parts = {stream: array[index] for stream, array in steps.items()}
        shape = list(next(iter(parts.values())).shape)
        shape[axis] = size
        batch = np.zeros((self.num_streams, *shape), np.uint8)
        lengths = [0] * self.num_streams
        for stream, part in parts.items():
            lengths[stream] = part.shape[axis]
            batch[stream][*before, : part.shape[axis]] = part
        return batch, lengths

    def _stream(self, stream: Any) -> int:
        is_number = isinstance(stream, int | np.integer) and not isinstance(stream, bool)
        if not is_number or not 0 <= stream < self.num_streams:
            raise ValueError(
                f"stream {stream!r}: this {self._name} has streams 0 to {self.num_streams - 1}"
            )
        return int(stream)

    def _streams(self, stream: Any) -> list[int]:
        streams = stream if isinstance(stream, Iterable) else [stream]
        return [self._stream(one) for one in streams]

    def _check_bytes(self, array: np.ndarray, found: str, reads: str) -> None:
        """Refuses steps that are no bytes; without any step, every type will do.

        Args:
          array: the steps, with a channel axis.
          found: what they are.
          reads: what this run reads.
        """
        if not array.size or array.dtype == np.uint8:
            return
        if array.dtype.kind == "f" and np.isnan(array).any():
            others = tuple(axis for axis in range(array.ndim) if axis != self._time_axis)
            number = int(np.isnan(array).any(axis=others).argmax())
            found += f", NaN in {self._steps.removesuffix('s')} {number} of them"
        raise ValueError(f"{found}; {reads}")


def checked_count(num_streams: Any) -> int:
    """The number of streams; ValueError if there is none."""
    if not isinstance(num_streams, int) or num_streams < 1:
        raise ValueError(f"num_streams: {num_streams!r}; choose a whole number from 1")
    return num_streams


def is_count(value: Any) -> bool:
    """Whether it is a whole number from 0, as Python has them."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _digest(params: Any) -> str:
    leaves, structure = jax.tree.flatten(jax.device_get(params))
    digest = hashlib.sha256(repr(structure).encode())
    for leaf in leaves:
        digest.update(repr((leaf.shape, leaf.dtype.name)).encode() + leaf.tobytes())
    return digest.hexdigest()
