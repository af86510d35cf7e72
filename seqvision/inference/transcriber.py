"""Texts of the user's lines of writing, read as a whole."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqvision.data.alphabet import Alphabet
from seqvision.data.batching import rounded_up
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import Decoded
from seqvision.inference.inputs import Input, read_lines
from seqvision.inference.padded_batches import on_devices, padded_batches
from seqvision.inference.run_checks import check_transcribes
from seqvision.runs.saved_run import Run, load_run
from seqvision.runtime.console import say
from seqvision.runtime.mesh import create_mesh, shard_batch
from seqvision.shapes import ByteImages, Lengths
from seqvision.tasks.predictions import Transcription, transcription
from seqvision.tasks.reading import TextReading

# Lines are padded to multiples of so many columns, so that few programs are compiled.
_UNIT = 64


class Transcriber:
    """A trained network, ready to read lines of writing.

        transcriber = Transcriber.from_run("runs/column_reader")
        for transcription in transcriber(lines):
            print(transcription["text"], transcription["ends"])

    Lines that are still being written are for `inference.stream_reader.StreamReader`.

    Attributes:
      height: rows of a line.
    """

    def __init__(
        self,
        decode_batch: Callable[[np.ndarray, np.ndarray], Any],
        symbols: tuple[str, ...],
        *,
        height: int,
        letter_delay: int,
        batch_size: int,
        most_columns: int,
        num_devices: int = 1,
    ) -> None:
        """Gets ready.

        Args:
          decode_batch: lines (B, height, width, 1) and their lengths (B,) to a
            `decoding.Decoded` in the host's memory.
          symbols: the alphabet.
          height: rows of a line.
          letter_delay: see `Settings.letter_delay`.
          batch_size: most lines in one call.
          most_columns: of a call, its padding included, unless a single line has more.
          num_devices: the number of lines in a call is a multiple of it.
        """
        self.height = height
        self._decode_batch = decode_batch
        self._alphabet = Alphabet(symbols)
        self._letter_delay = letter_delay
        self._batch_size, self._most_columns = batch_size, most_columns
        self._num_devices = num_devices

    @classmethod
    def from_run(
        cls, workdir: str | Path, batch_size: int | None = None, seed: int | None = None
    ) -> "Transcriber":
        """Takes the weights of a trained run, and its `reading.beam_width`.

        Args:
          workdir: the run's folder.
          batch_size: lines per step; by default the run's `data.eval_batch_size`.
          seed: of a run of several seeds, whose weights; by default those of the first.

        Raises:
          UserError: there is no trained run, or it reads no text.
        """
        run = load_run(Path(workdir), say, seed)
        check_transcribes(run.settings, workdir)
        return cls.of(run, batch_size)

    @classmethod
    def of(cls, run: Run, batch_size: int | None = None) -> "Transcriber":
        """Takes the weights of a run that is loaded already, and reads text; see `from_run`."""
        task, mesh = run.task, create_mesh()
        assert isinstance(task, TextReading)

        def read_step(params: Any, lines: ByteImages, lengths: Lengths) -> Decoded:
            logits: Any = run.model.apply({"params": params}, to_unit_range(lines), lengths)
            log_probs = jax.nn.log_softmax(logits)
            return task.decode(log_probs, lengths)

        height, width, _ = run.data.input_shape
        batch_size = batch_size or run.settings.data.eval_batch_size
        return cls(
            on_devices(shard_batch(read_step, mesh, num_replicated=1), run.params, mesh),
            run.data.class_names,
            height=height,
            letter_delay=run.settings.letter_delay,
            batch_size=batch_size,
            most_columns=batch_size * rounded_up(width, _UNIT),
            num_devices=mesh.size,
        )

    def __call__(self, lines: Iterable[np.ndarray]) -> Iterator[Transcription]:
        """Reads lines in order, a batch at a time, as they are asked for.

        Args:
          lines: uint8 (height, n) or (height, n, 1) of any n from 1, light ink on dark.

        Raises:
          ValueError: an array of another shape or type.
        """
        for batch in padded_batches(
            map(self._checked, lines),
            batch_size=self._batch_size,
            num_devices=self._num_devices,
            time_axis=1,
            unit=_UNIT,
            most_steps=self._most_columns,
        ):
            decoded = self._decode_batch(batch.inputs, batch.lengths)
            for index in range(batch.num_examples):
                symbols = slice(int(decoded.num_symbols[index]))
                yield transcription(
                    decoded.symbols[index, symbols],
                    decoded.starts[index, symbols],
                    decoded.confidences[index, symbols],
                    self._alphabet,
                    self._letter_delay,
                    int(batch.lengths[index]),
                )

    def read_files(self, paths: Iterable[Path], invert: str) -> Iterator[Input]:
        """Reads lines from image files, see `inputs.read_lines`."""
        yield from read_lines(paths, self.height, invert)

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
