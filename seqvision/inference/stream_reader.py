"""Live reading: columns of writing arrive bit by bit, and letters are said as they are decided."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from seqvision.data.alphabet import Alphabet
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import BLANK, greedy_finish, greedy_read, greedy_start, letter_ends
from seqvision.errors import UserError
from seqvision.models.line_reader import LineReader
from seqvision.runs.compatibility import read_settings
from seqvision.runs.saved_run import load_run
from seqvision.runtime.console import say
from seqvision.runtime.cpu_devices import num_sharing
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated, shard_batch
from seqvision.shapes import ByteImages, Lengths, Mask

# Columns in one call are filled up to one of these numbers: for each, a program is compiled.
_SIZES = (1, 8, 64)


@dataclasses.dataclass(frozen=True)
class Event:
    """A letter (or a space) was said. Each comes twice: when it begins, and when it is final.

    Attributes:
      stream: of which line.
      symbol: the letter.
      columns: the first and the last column where it stands, as far as can be told: it ends as
        `decoding.letter_ends` says, and begins behind the letter before it.
      confidence: the highest probability that a column gave it so far.
      final: False when it is said first: it is part of the text for good, but its confidence may
        still grow. True when it is seen to have ended. Either kind, joined, is the text.
      ends_word: whether it is a final space, or the last letter of a line, which `finish` ended.
      column: how many columns of the line had been read by then. The empty ones that `finish` reads
        count.
    """

    stream: int
    symbol: str
    columns: tuple[int, int]
    confidence: float
    final: bool
    ends_word: bool
    column: int


class StreamState(NamedTuple):
    """All that is kept of S lines; its size does not depend on their lengths.

    Attributes:
      network: what tells it from another one: the SHA-256 of its weights.
      memory: of the network and of the decoder, a tree of arrays (S, ...).
      ends: (S,), the column where the last final letter of each line ends; -1 before the first.
    """

    network: str
    memory: Any
    ends: np.ndarray


class _Said(NamedTuple):
    """What a call brought: (S, n) for n columns of each line.

    Attributes:
      first: (S,), the numbers of the first of these columns.
      events: `decoding.GreedyEvents`.
      probabilities: of the most probable class.
    """

    first: Any
    events: Any
    probabilities: Any


class StreamReader:
    """A trained network that reads lines while they are written, one or many at a time.

        reader = StreamReader.from_run("runs/column_reader")
        for columns in pen:  # uint8 (32, n), light ink on dark
            for event in reader.push(columns):
                print(event.symbol if event.final else "", end="")
        for event in reader.finish(): ...

    It says what `inference.transcriber.Transcriber` says of the whole line, however the columns
    are cut. It keeps neither columns nor events: the text so far is the symbols of all
    final events, joined. Pushes of 1, 8 or 64 columns waste no time; the first of each size
    compiles a program.

    Attributes:
      num_streams: S, how many lines it reads side by side.
      height: rows of a column.
      symbols: what it can say.
    """

    def __init__(
        self,
        model: LineReader,
        params: Any,
        symbols: tuple[str, ...],
        *,
        height: int,
        letter_delay: int,
        num_streams: int = 1,
        on_logits: Callable[[int, np.ndarray], None] | None = None,
    ) -> None:
        """Gets ready for new lines.

        Args:
          model: a network that reads in one direction.
          params: its weights.
          symbols: its alphabet.
          height: rows of a column.
          letter_delay: see `Settings.letter_delay`.
          num_streams: how many lines to read side by side.
          on_logits: called with a stream and the logits (n, K) of its next n columns, for those who
            want to see more than the letters.

        Raises:
          ValueError: the network needs the end of a line, or there is no stream.
        """
        if model.recurrent.bidirectional:
            raise ValueError("the network reads in both directions: it needs the end of a line")
        if not isinstance(num_streams, int) or num_streams < 1:
            raise ValueError(f"num_streams: {num_streams!r}; choose a whole number from 1")
        self.num_streams, self.height = num_streams, height
        self.symbols = Alphabet(symbols).symbols
        self._empty = np.zeros((height, model.delay), np.uint8)
        self._letter_delay = letter_delay
        self._on_logits = on_logits
        mesh = create_mesh(num_sharing(jax.device_count(), num_streams))
        self._sharding = batch_sharding(mesh)
        self._params = jax.device_put(params, replicated(mesh))
        self._network = _digest(params)
        self._read_step, self._end_step = _make_read_step(model, mesh), _make_end_step(mesh)
        column = np.zeros((num_streams, height, 1, 1), np.uint8)
        self._start = _make_start(model, mesh)(self._params, column)
        self._memory = self._start
        self._ends = np.full(num_streams, -1)

    @classmethod
    def from_run(
        cls,
        workdir: str | Path,
        num_streams: int = 1,
        on_logits: Callable[[int, np.ndarray], None] | None = None,
        seed: int | None = None,
    ) -> "StreamReader":
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          num_streams, on_logits: see `StreamReader`.
          seed: of a run of several seeds, whose weights; by default those of the first.

        Raises:
          UserError: there is no trained run, or one that cannot read live.
        """
        settings = read_settings(Path(workdir))
        if not settings.reads_text:
            raise UserError(
                f"{workdir}: this run names what it sees, and reads no text; choose a run on lines"
                " of writing, or --mode=predict"
            )
        if settings.model.bidirectional:
            raise UserError(
                f"{workdir}: this run reads in both directions and needs the end of a line; choose"
                " a run with config.model.bidirectional=False, or --mode=predict"
            )
        run = load_run(Path(workdir), say, seed)
        assert isinstance(run.model, LineReader)
        return cls(
            run.model,
            run.params,
            run.data.class_names,
            height=run.data.input_shape[0],
            letter_delay=settings.letter_delay,
            num_streams=num_streams,
            on_logits=on_logits,
        )

    def push(self, columns: Any) -> list[Event]:
        """Reads the next columns of a line, or of several lines in one call.

        Args:
          columns: uint8 (height, n) or (height, n, 1), any n, light ink on dark; or such arrays by
            the numbers of their streams, 0 to S - 1.

        Returns:
          What this brought, stream by stream, each in the order of its columns.

        Raises:
          ValueError: an array of another shape or type, or no such stream; nothing was read.
        """
        if not isinstance(columns, Mapping):
            if self.num_streams > 1:
                raise ValueError(
                    f"whose columns? This reader has {self.num_streams} streams; push them as"
                    " {stream number: columns}"
                )
            columns = {0: columns}
        return self._read({self._stream(s): self._checked(c) for s, c in columns.items()})

    def finish(self, stream: int | Iterable[int] = 0) -> list[Event]:
        """Ends a line, or several: reads the empty columns behind it and starts the next one.

        The end of a line ends a word also where its last letter was final before.

        Args:
          stream: which line, or which ones.

        Returns:
          The last events; a reader of whole lines reads as many empty columns.

        Raises:
          ValueError: no such stream.
        """
        streams = self._streams(stream)
        num_columns = np.array(self._memory[1].num_columns)
        events = self._read(dict.fromkeys(streams, self._empty), num_columns)
        events += self._events(self._end(streams), num_columns)
        events.sort(key=lambda event: event.stream)
        last = {event.stream: place for place, event in enumerate(events)}
        for place in last.values():
            events[place] = dataclasses.replace(events[place], ends_word=True)
        self._ends[streams] = -1
        return events

    def reset(self, stream: int | Iterable[int] = 0) -> None:
        """Gives up a line, or several, and starts the next one.

        Raises:
          ValueError: no such stream.
        """
        streams = self._streams(stream)
        self._end(streams)
        self._ends[streams] = -1

    def save(self) -> StreamState:
        """All that it keeps, as numpy arrays: to be pickled, and restored in another process."""
        memory = jax.tree.map(np.array, jax.device_get(self._memory))
        return StreamState(self._network, memory, self._ends.copy())

    def restore(self, state: Any) -> None:
        """Goes on from a saved state.

        Args:
          state: what `save` returned.

        Raises:
          ValueError: it is no state, of another network, or of another number of streams.
        """
        if not isinstance(state, StreamState):
            raise ValueError(
                f"{type(state).__name__} is no state of a reader; give what save() gave"
            )
        if state.network != self._network:
            raise ValueError("the state is of another network than this reader's")
        if len(state.ends) != self.num_streams:
            raise ValueError(
                f"the state is of {len(state.ends)} streams; this reader has {self.num_streams}"
            )
        self._memory = jax.device_put(state.memory, self._sharding)
        self._ends = state.ends.copy()

    def _read(
        self, given: dict[int, np.ndarray], num_columns: np.ndarray | None = None
    ) -> list[Event]:
        """Reads columns; `num_columns` (S,) where the lines are known to have no more."""
        events: list[Event] = []
        longest = max((columns.shape[1] for columns in given.values()), default=0)
        for begin in range(0, longest, _SIZES[-1]):
            size = next((size for size in _SIZES if size >= longest - begin), _SIZES[-1])
            batch = np.zeros((self.num_streams, self.height, size, 1), np.uint8)
            lengths = np.zeros(self.num_streams, np.int32)
            for stream, columns in given.items():
                part = columns[:, begin : begin + size]
                lengths[stream] = part.shape[1]
                batch[stream, :, : part.shape[1], 0] = part
            self._memory, said, logits = self._read_step(self._params, self._memory, batch, lengths)
            events += self._events(said, num_columns)
            if self._on_logits is not None:
                for stream in np.flatnonzero(lengths).tolist():
                    self._on_logits(stream, np.asarray(logits[stream])[: lengths[stream]])
        return sorted(events, key=lambda event: event.stream)

    def _end(self, streams: list[int]) -> _Said:
        """Starts new lines, and closes the last letters of the old ones."""
        ends = np.zeros(self.num_streams, np.bool_)
        ends[streams] = True
        self._memory, said = self._end_step(self._start, self._memory, ends)
        return said

    def _events(self, said: _Said, num_columns: np.ndarray | None) -> list[Event]:
        said = jax.device_get(said)
        begun, ended = said.events.begun, said.events.ended
        places = np.argwhere((begun != BLANK) | (ended != BLANK)).tolist()
        if not places:
            return []
        size = None if num_columns is None else num_columns[:, None]
        starts = said.first[:, None] + np.arange(begun.shape[1])
        begun_ends = letter_ends(starts, self._letter_delay, size)
        ended_ends = letter_ends(said.events.starts, self._letter_delay, size)
        events: list[Event] = []
        for stream, step in places:
            at, column = (stream, step), int(said.first[stream]) + step + 1
            ending = (ended[at], ended_ends[at], said.events.confidences[at], True)
            beginning = (begun[at], begun_ends[at], said.probabilities[at], False)
            for number, end, confidence, final in (ending, beginning):
                if number != BLANK:
                    events.append(self._event(stream, column, number, end, confidence, final))
        return events

    def _event(
        self, stream: int, column: int, number: Any, end: Any, confidence: Any, final: bool
    ) -> Event:
        symbol, end = self.symbols[int(number) - 1], int(end)
        begin = min(int(self._ends[stream]) + 1, end)
        if final:
            self._ends[stream] = end
        return Event(
            stream=stream,
            symbol=symbol,
            columns=(begin, end),
            confidence=float(confidence),
            final=final,
            ends_word=final and symbol == " ",
            column=column,
        )

    def _checked(self, columns: Any) -> np.ndarray:
        array = np.asarray(columns)
        found = f"{array.dtype} {array.shape}"
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        reads = f"this run reads uint8 ({self.height}, any number of columns), 0 to 255"
        if array.ndim == 3:
            raise ValueError(f"columns are {found}: in colour; {reads}: make them grey")
        if array.ndim != 2 or array.shape[0] != self.height:
            raise ValueError(f"columns are {found}; {reads}")
        if array.size and array.dtype != np.uint8:
            if array.dtype.kind == "f" and np.isnan(array).any():
                number = int(np.isnan(array).any(axis=0).argmax())
                raise ValueError(f"columns are {found}, NaN in column {number} of them; {reads}")
            raise ValueError(f"columns are {found}; {reads}")
        return array

    def _stream(self, stream: Any) -> int:
        is_number = isinstance(stream, int | np.integer) and not isinstance(stream, bool)
        if not is_number or not 0 <= stream < self.num_streams:
            raise ValueError(f"stream {stream!r}: this reader has 0 to {self.num_streams - 1}")
        return int(stream)

    def _streams(self, stream: Any) -> list[int]:
        streams = stream if isinstance(stream, Iterable) else [stream]
        return [self._stream(one) for one in streams]


def _make_start(model: LineReader, mesh: Mesh) -> Callable[..., Any]:
    """Compiles `start(params, columns) -> memory` before the first column; `columns` are any."""

    def start(params: Any, columns: ByteImages) -> Any:
        nothing = jnp.zeros(len(columns), jnp.int32)
        _, carry = _network(model, params, columns, nothing, None)
        return carry, greedy_start(len(columns))

    return shard_batch(start, mesh, num_replicated=1)


def _make_read_step(model: LineReader, mesh: Mesh) -> Callable[..., tuple[Any, _Said, Any]]:
    """Compiles `read_step(params, memory, columns, lengths) -> memory, said, logits`."""

    def read_step(
        params: Any, memory: Any, columns: ByteImages, lengths: Lengths
    ) -> tuple[Any, _Said, Array]:
        carry, greedy = memory
        logits, carry = _network(model, params, columns, lengths, carry)
        log_probs = jax.nn.log_softmax(logits)
        real = jnp.arange(logits.shape[1], dtype=jnp.int32)[None] < lengths[:, None]
        after, events = greedy_read(greedy, log_probs, real)
        said = _Said(greedy.num_columns, events, jnp.exp(log_probs.max(axis=-1)))
        return (carry, after), said, logits

    return shard_batch(read_step, mesh, num_replicated=1)


def _make_end_step(mesh: Mesh) -> Callable[..., tuple[Any, _Said]]:
    """Compiles `end_step(start, memory, ends) -> memory, said`: what `ends` (S,) says, ends."""

    def end_step(start: Any, memory: Any, ends: Mask) -> tuple[Any, _Said]:
        _, greedy = memory
        closed = greedy_finish(greedy)
        closed = closed._replace(ended=jnp.where(ends, closed.ended, BLANK))
        events = jax.tree.map(lambda leaf: leaf[:, None], closed)
        said = _Said(greedy.num_columns - 1, events, jnp.zeros_like(events.confidences))

        def chosen(new: Array, old: Array) -> Array:
            return jnp.where(ends.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return jax.tree.map(chosen, start, memory), said

    return shard_batch(end_step, mesh, num_replicated=0)


def _network(model: LineReader, params: Any, columns: Any, lengths: Any, carry: Any) -> Any:
    inputs = to_unit_range(columns)
    return model.apply({"params": params}, inputs, lengths, carry, method=LineReader.read)


def _digest(params: Any) -> str:
    leaves, structure = jax.tree.flatten(jax.device_get(params))
    digest = hashlib.sha256(repr(structure).encode())
    for leaf in leaves:
        digest.update(repr((leaf.shape, leaf.dtype.name)).encode() + leaf.tobytes())
    return digest.hexdigest()
