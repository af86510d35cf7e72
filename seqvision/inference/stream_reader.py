"""Live reading of lines whose columns arrive a few at a time."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.data.alphabet import Alphabet
from seqvision.errors import UserError
from seqvision.inference.stream_engines import create_network
from seqvision.inference.stream_events import Event, LineEvents, LineState, read_logits
from seqvision.inference.streams import Streams, checked_count, is_count
from seqvision.models.line_reader import LineReader
from seqvision.runs.saved_run import Run, check_reads_text, load_run


class StreamReader(Streams[Event]):
    """A trained network that reads lines while they are written, one or many at a time.

        reader = StreamReader.from_run("runs/column_reader")
        for columns in pen:  # uint8 (32, n), light ink on dark
            for event in reader.push(columns):
                print(event.symbol if event.final else "", end="")
        for event in reader.finish(): ...

    It decodes the text that `inference.transcriber.Transcriber` decodes of the whole line,
    however the columns are cut. It keeps neither columns nor events: the text so far is the symbols
    of all final events, joined, without spaces at its ends (see `text`, which also puts writing
    from right to left in order).

    What computes, `engine`, is by default (`auto`) the fastest that is there. Single columns are
    read in numpy, of up to 16 lines that are little work, else by JAX on the devices. Several
    columns are read by onnxruntime, where the extra `export` is installed and the devices are those
    of a CPU, or the lines are few. JAX's pushes of 1, 8 or 64 columns waste no time; the first of
    each size compiles a program, and so does the first of each size in which some line has fewer
    columns. Logits differ by rounding; what one engine saved, another goes on from.

    Attributes:
      num_streams: S, how many lines it reads side by side.
      height: rows of a column.
      symbols: its alphabet.
      invert: `config.lines.invert` of the run, for images of lines.
      looks: those of its training lines, for images of lines; see `data.files.line_scale`.
    """

    _name, _steps, _time_axis = "reader", "columns", 1

    def __init__(
        self,
        run: Run,
        num_streams: int = 1,
        on_logits: Callable[[int, np.ndarray], None] | None = None,
        engine: str = "auto",
    ) -> None:
        """Gets ready for new lines, with the weights of a run.

        Args:
          run: a trained run.
          num_streams: how many lines to read side by side.
          on_logits: called with a stream and the logits (n, K) of its next n columns.
          engine: what computes: auto, onnxruntime, numpy or jax.

        Raises:
          UserError: the run reads no text, or needs the end of a line.
          ValueError: there is no stream, or the engine cannot read it.
        """
        check_reads_text(run)
        if run.settings.model.bidirectional:
            raise UserError(
                f"{run.workdir}: this run reads in both directions and needs the whole line; choose"
                " a run with config.model.bidirectional=False, or --mode=predict (from Python:"
                " Transcriber)"
            )
        assert isinstance(run.model, LineReader)
        self.height = run.data.input_shape[0]
        count = checked_count(num_streams)
        network = create_network(run.model, run.params, self.height, count, engine)
        super().__init__(run, num_streams, network)
        self._alphabet = Alphabet(run.data.class_names, run.settings.reading.direction)
        self.symbols = self._alphabet.symbols
        self.invert, self.looks = run.settings.lines.invert, run.data.looks
        self._empty = np.zeros((self.height, run.model.delay, 1), np.uint8)
        self._on_logits = on_logits
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
        engine: str = "auto",
    ) -> "StreamReader":
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          num_streams, on_logits, engine: see `StreamReader`.
          seed: of a run of several seeds, whose weights; by default those of the first.

        Raises:
          UserError: there is no trained run, or one that cannot read live.
        """
        return cls(load_run(Path(workdir), seed), num_streams, on_logits, engine)

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
        return super().push(columns)

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
            events[index] = events[index]._replace(ends_word=True)
        self._network.start(streams)
        return events

    def text(self, events: Iterable[Event]) -> str:
        """The final letters among the events of a line in the order in which they are typed.

        Spaces at the ends are left out. The order is that of the events, but for writing from right
        to left, whose columns are read from left to right as all others: there the text is known
        once the line has ended.
        """
        return self._alphabet.text(event.symbol for event in events if event.final)

    def _read(self, columns: dict[int, np.ndarray], sizes: list[int] | None = None) -> list[Event]:
        """Reads columns; `sizes` of the lines, where they are known to have no more."""
        events: list[Event] = []
        for logits, lengths in self._logits(columns):
            if self._on_logits is not None:
                for stream in np.flatnonzero(lengths).tolist():
                    self._on_logits(stream, logits[stream, : lengths[stream]])
            events += read_logits(self._lines, logits, lengths, sizes)
        events.sort(key=lambda event: event.stream)
        return events

    def _checked(self, stream: int, columns: Any) -> np.ndarray:
        array = np.asarray(columns)
        if array.ndim == 2 and array.shape[0] == self.height and array.dtype == np.uint8:
            return array[..., None]  # As most are.
        found = f"columns are {array.dtype} {array.shape}"
        reads = f"this run reads uint8 ({self.height}, any number of columns), 0 to 255"
        if array.ndim == 2:
            array = array[..., None]
        if array.ndim == 3 and array.shape[2] != 1:
            raise ValueError(f"{found}: in colour; {reads}: make them grey")
        if array.ndim != 3 or array.shape[0] != self.height:
            raise ValueError(f"{found}; {reads}")
        self._check_bytes(array, found, reads)
        return array

    def _start(self, stream: int) -> None:
        self._lines[stream].state = LineState()

    def _kept(self) -> tuple[LineState, ...]:
        return tuple(line.state for line in self._lines)

    def _fits(self, kept: tuple[Any, ...]) -> bool:
        return all(self._is_state(state) for state in kept)

    def _is_state(self, state: Any) -> bool:
        if not (isinstance(state, tuple) and len(state) == len(LineState._fields)):
            return False
        num_columns, previous, start, highest, end = state
        is_place = all(is_count(number) for number in (num_columns, start, previous))
        is_end = end == -1 or is_count(end)
        # The last run of columns begins at one that was read, and no letter before it ends later.
        return (
            is_place
            and is_end
            and end <= start < max(num_columns, 1)
            and previous <= len(self.symbols)
            and isinstance(highest, float)
            and -math.inf < highest <= 0
        )

    def _keep(self, kept: tuple[Any, ...]) -> None:
        for line, state in zip(self._lines, kept, strict=True):
            line.state = LineState(*state)
