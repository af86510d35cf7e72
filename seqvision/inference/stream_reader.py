"""Live reading of lines whose columns arrive a few at a time."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from seqvision.data.alphabet import Alphabet
from seqvision.errors import UserError
from seqvision.inference.stream_events import Event, LineEvents, LineState
from seqvision.inference.stream_network import create_network
from seqvision.models.line_reader import LineReader
from seqvision.runs.saved_run import Run, check_reads_text, load_run


class StreamState(NamedTuple):
    """All that is kept of S lines; its size does not depend on their lengths.

    Attributes:
      network: the SHA-256 of the weights.
      memory: of the network, see `stream_network.StreamNetwork`, as numpy arrays.
      lines: what is kept of each line's text.
    """

    network: str
    memory: Any
    lines: tuple[LineState, ...]


class StreamReader:
    """A trained network that reads lines while they are written, one or many at a time.

        reader = StreamReader.from_run("runs/column_reader")
        for columns in pen:  # uint8 (32, n), light ink on dark
            for event in reader.push(columns):
                print(event.symbol if event.final else "", end="")
        for event in reader.finish(): ...

    It decodes the text that `inference.transcriber.Transcriber` decodes of the whole line,
    however the columns are cut. It keeps neither columns nor events: the text so far is the symbols
    of all final events, joined, without spaces at its ends (see `text`, which also puts writing
    from right to left in order). Up to 16 lines are read on the host, in numpy. More of them are
    read on the devices, where pushes of 1, 8 or 64 columns waste no time; the first of each size
    compiles a program.

    Attributes:
      num_streams: S, how many lines it reads side by side.
      height: rows of a column.
      symbols: its alphabet.
      invert: `config.lines.invert` of the run, for images of lines.
      looks: those of its training lines, for images of lines; see `data.files.line_scale`.
    """

    def __init__(
        self,
        run: Run,
        num_streams: int = 1,
        on_logits: Callable[[int, np.ndarray], None] | None = None,
    ) -> None:
        """Gets ready for new lines, with the weights of a run.

        Args:
          run: a trained run.
          num_streams: how many lines to read side by side.
          on_logits: called with a stream and the logits (n, K) of its next n columns.

        Raises:
          UserError: the run reads no text, or needs the end of a line.
          ValueError: there is no stream.
        """
        check_reads_text(run)
        if run.settings.model.bidirectional:
            raise UserError(
                f"{run.workdir}: this run reads in both directions and needs the whole line; choose"
                " a run with config.model.bidirectional=False, or --mode=predict (from Python:"
                " Transcriber)"
            )
        if not isinstance(num_streams, int) or num_streams < 1:
            raise ValueError(f"num_streams: {num_streams!r}; choose a whole number from 1")
        assert isinstance(run.model, LineReader)
        self.num_streams, self.height = num_streams, run.data.input_shape[0]
        self._alphabet = Alphabet(run.data.class_names, run.settings.reading.direction)
        self.symbols = self._alphabet.symbols
        self.invert, self.looks = run.settings.lines.invert, run.data.looks
        self._empty = np.zeros((self.height, run.model.delay), np.uint8)
        self._on_logits = on_logits
        self._digest = _digest(run.params)
        self._network = create_network(run.model, run.params, self.height, num_streams)
        self._lines = [
            LineEvents(stream, self.symbols, run.settings.letter_delay)
            for stream in range(num_streams)
        ]

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
        return cls(load_run(Path(workdir), seed), num_streams, on_logits)

    def push(self, columns: Any) -> list[Event]:
        """Reads the next columns of a line, or of several lines in one call.

        Args:
          columns: uint8 (height, n) or (height, n, 1), any n, light ink on dark; or such arrays by
            the numbers of their streams, 0 to S - 1.

        Returns:
          The events of these columns, stream by stream, each in the order of its columns.

        Raises:
          ValueError: an array of another shape or type, or no such stream; nothing was read.
        """
        if not isinstance(columns, Mapping):
            if self.num_streams > 1:
                raise ValueError(
                    f"columns of which stream? This reader has {self.num_streams}; push them as"
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
        sizes = [line.state.num_columns for line in self._lines]
        events = self._read(dict.fromkeys(streams, self._empty), sizes)
        events += [event for one in streams for event in self._lines[one].finish(sizes[one])]
        events.sort(key=lambda event: event.stream)
        last = {event.stream: index for index, event in enumerate(events)}
        for index in last.values():
            events[index] = dataclasses.replace(events[index], ends_word=True)
        self._network.start(streams)
        return events

    def reset(self, stream: int | Iterable[int] = 0) -> None:
        """Drops a line, or several, and starts the next one.

        Raises:
          ValueError: no such stream.
        """
        streams = self._streams(stream)
        for one in streams:
            self._lines[one].state = LineState()
        self._network.start(streams)

    def text(self, events: Iterable[Event]) -> str:
        """The final letters among the events of a line in the order in which they are typed.

        Spaces at the ends are left out. The order is that of the events, but for writing from right
        to left, whose columns are read from left to right as all others: there the text is known
        once the line has ended.
        """
        return self._alphabet.text(event.symbol for event in events if event.final)

    def save(self) -> StreamState:
        """All that it keeps, in the host's memory: to be pickled, and restored in another process.

        A pickle can run code when it is loaded: load only your own.
        """
        memory = jax.tree.map(np.array, jax.device_get(self._network.memory))
        return StreamState(self._digest, memory, tuple(line.state for line in self._lines))

    def restore(self, state: Any) -> None:
        """Goes on from a saved state.

        Args:
          state: what `save` returned.

        Raises:
          ValueError: no state, one of another network or number of streams, or a damaged one.
        """
        if not isinstance(state, StreamState):
            raise ValueError(
                f"{type(state).__name__} is no state of a reader; pass what save() returned"
            )
        if state.network != self._digest:
            raise ValueError("the state is of another network than this reader's")
        if len(state.lines) != self.num_streams:
            raise ValueError(
                f"the state is of {len(state.lines)} streams; this reader has {self.num_streams}"
            )
        shapes = jax.tree.map(_shape, self._network.memory)
        if jax.tree.map(_shape, state.memory) != shapes:
            raise ValueError("the state is damaged: its arrays have other shapes than those here")
        self._network.restore(state.memory)
        for line, kept in zip(self._lines, state.lines, strict=True):
            line.state = LineState(*kept)

    def _read(self, columns: dict[int, np.ndarray], sizes: list[int] | None = None) -> list[Event]:
        """Reads columns; `sizes` of the lines, where they are known to have no more."""
        events: list[Event] = []
        longest = max((array.shape[1] for array in columns.values()), default=0)
        begin = 0
        while begin < longest:
            size = self._network.size_of(longest - begin)
            batch, lengths = self._batch(columns, begin, size)
            events += self._decoded(self._network.read(batch, lengths), lengths, sizes)
            begin += size
        return sorted(events, key=lambda event: event.stream) if longest > 1 else events

    def _batch(
        self, columns: dict[int, np.ndarray], begin: int, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The next columns (S, height, size, 1), and how many each stream has."""
        parts = {stream: array[:, begin : begin + size] for stream, array in columns.items()}
        if self.num_streams == 1 and parts[0].shape[1] == size:
            return parts[0][None, ..., None], np.array([size], np.int32)
        batch = np.zeros((self.num_streams, self.height, size, 1), np.uint8)
        lengths = np.zeros(self.num_streams, np.int32)
        for stream, part in parts.items():
            lengths[stream] = part.shape[1]
            batch[stream, :, : part.shape[1], 0] = part
        return batch, lengths

    def _decoded(
        self, logits: np.ndarray, lengths: np.ndarray, sizes: list[int] | None
    ) -> list[Event]:
        winners = logits.argmax(axis=-1)
        log_probs = -np.log(np.exp(logits - logits.max(axis=-1, keepdims=True)).sum(axis=-1))
        events: list[Event] = []
        for stream, length in enumerate(lengths.tolist()):
            if length == 0:
                continue
            if self._on_logits is not None:
                self._on_logits(stream, logits[stream, :length])
            events += self._lines[stream].read(
                winners[stream, :length].tolist(),
                log_probs[stream, :length].tolist(),
                None if sizes is None else sizes[stream],
            )
        return events

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
                found += f", NaN in column {number} of them"
            raise ValueError(f"columns are {found}; {reads}")
        return array

    def _stream(self, stream: Any) -> int:
        is_number = isinstance(stream, int | np.integer) and not isinstance(stream, bool)
        if not is_number or not 0 <= stream < self.num_streams:
            raise ValueError(
                f"stream {stream!r}: this reader has streams 0 to {self.num_streams - 1}"
            )
        return int(stream)

    def _streams(self, stream: Any) -> list[int]:
        streams = stream if isinstance(stream, Iterable) else [stream]
        return [self._stream(one) for one in streams]


def _shape(leaf: Any) -> tuple[Any, Any]:
    return leaf.shape, leaf.dtype


def _digest(params: Any) -> str:
    leaves, structure = jax.tree.flatten(jax.device_get(params))
    digest = hashlib.sha256(repr(structure).encode())
    for leaf in leaves:
        digest.update(repr((leaf.shape, leaf.dtype.name)).encode() + leaf.tobytes())
    return digest.hexdigest()
