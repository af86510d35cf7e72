"""Texts of the user's lines of writing, read as a whole."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seqvision.inference.batch_reader import BatchReader
from seqvision.inference.inputs import Input, ReadFiles, read_lines
from seqvision.runs.saved_run import Run, check_reads_text
from seqvision.tasks.predictions import Transcription

_UNIT = 64
"""Lines are padded to multiples of so many columns."""


class Transcriber(BatchReader):
    """A trained network, ready to read lines of writing, with the run's `reading.beam_width`.

        transcriber = Transcriber.from_run("runs/column_reader")
        for transcription in transcriber(lines):
            print(transcription["text"], transcription["ends"])

    Lines that are still being written are for `inference.stream_reader.StreamReader`.

    Attributes:
      height: rows of a line.
    """

    _time_axis = 1

    def __init__(self, run: Run, batch_size: int | None = None) -> None:
        """See `BatchReader`.

        Raises:
          UserError: the run reads no text.
        """
        check_reads_text(run)
        super().__init__(run, batch_size, unit=_UNIT)
        self.height = run.data.input_shape[0]
        self._invert = run.settings.lines.invert
        self._looks = run.data.looks

    def __call__(self, lines: Iterable[np.ndarray]) -> Iterator[Transcription]:
        """Reads lines in order, a batch at a time, as they are asked for.

        Args:
          lines: uint8 (height, n) or (height, n, 1) of any n from 1, light ink on dark.

        Raises:
          ValueError: an array of another shape or type.
        """
        return self._predictions(map(self._checked, lines))

    def read_files(self, paths: Iterable[Path], invert: str) -> Iterator[Input]:
        """Reads lines from image files, see `inputs.read_lines`; `auto` is as in training.

        They are brought to the scale of the training lines, where the run knows their looks.
        """
        return self.file_reader(invert)(paths)

    def file_reader(self, invert: str) -> ReadFiles:
        """`read_files` as a function that other processes can call."""
        invert = self._invert if invert == "auto" else invert
        return functools.partial(read_lines, height=self.height, invert=invert, looks=self._looks)

    def _checked(self, line: np.ndarray) -> np.ndarray:
        """A line as (height, n, 1)."""
        array = np.asarray(line)
        pixels = array[..., None] if array.ndim == 2 else array
        fits = pixels.ndim == 3 and (pixels.shape[0], pixels.shape[2]) == (self.height, 1)
        if not fits or pixels.shape[1] == 0 or array.dtype != np.uint8:
            raise ValueError(
                f"line is {array.dtype} {array.shape}; this run reads uint8 ({self.height}, any"
                " number of columns), 0 to 255"
            )
        return pixels
