"""The texts of the user's lines of writing, read as a whole."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqvision.data.alphabet import Alphabet
from seqvision.data.batching import batches, pad, padded_size, rounded_up
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import Decoded
from seqvision.errors import UserError
from seqvision.runs.saved_run import load_run
from seqvision.runtime.console import say
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated, shard_batch
from seqvision.shapes import ByteImages, Lengths
from seqvision.tasks.predictions import Transcription, transcription
from seqvision.tasks.reading import decode

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
        read: Callable[[np.ndarray, np.ndarray], Any],
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
          read: lines (B, height, width, 1) and their lengths (B,) to a
            `decoding.Decoded` in the host's memory.
          symbols: the alphabet.
          height: rows of a line.
          letter_delay: see `Settings.letter_delay`.
          batch_size: most lines in one call.
          most_columns: of a call, its padding included, unless a single line has more.
          num_devices: the number of lines in a call is a multiple of it.
        """
        self.height = height
        self._read = read
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
        settings = run.settings
        if not settings.reads_text:
            raise UserError(f"{workdir}: this run reads no text; `predict.Predictor` is for it")
        mesh = create_mesh()
        params = jax.device_put(run.params, replicated(mesh))

        def read_step(params: Any, lines: ByteImages, lengths: Lengths) -> Decoded:
            logits: Any = run.model.apply({"params": params}, to_unit_range(lines), lengths)
            log_probs = jax.nn.log_softmax(logits)
            return decode(log_probs, lengths + settings.reading.delay, settings.reading.beam_width)

        step = shard_batch(read_step, mesh, num_replicated=1)

        def read(lines: np.ndarray, lengths: np.ndarray) -> Any:
            return jax.device_get(
                step(params, *jax.device_put((lines, lengths), batch_sharding(mesh)))
            )

        height, width, _ = run.data.input_shape
        batch_size = batch_size or settings.data.eval_batch_size
        return cls(
            read,
            run.data.class_names,
            height=height,
            letter_delay=settings.letter_delay,
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
        checked = map(self._checked, lines)
        for batch in batches(checked, self._batch_size, _columns_of, self._most_columns):
            size = padded_size(len(batch), self._batch_size, self._num_devices)
            inputs = np.zeros((size, self.height, max(map(_columns_of, batch)), 1), np.uint8)
            lengths = pad(np.array([line.shape[1] for line in batch], np.int32), size - len(batch))
            for number, line in enumerate(batch):
                inputs[number, :, : line.shape[1], 0] = line
            decoded = self._read(inputs, lengths)
            for number, line in enumerate(batch):
                said = slice(int(decoded.num_symbols[number]))
                yield transcription(
                    decoded.symbols[number, said],
                    decoded.starts[number, said],
                    decoded.confidences[number, said],
                    self._alphabet,
                    self._letter_delay,
                    line.shape[1],
                )

    def _checked(self, line: np.ndarray) -> np.ndarray:
        array = np.asarray(line)
        flat = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
        fits = flat.ndim == 2 and flat.shape[0] == self.height and flat.shape[1] > 0
        if not fits or array.dtype != np.uint8:
            raise ValueError(
                f"line is {array.dtype} {array.shape}; this run reads uint8 ({self.height}, any"
                " number of columns), 0 to 255"
            )
        return flat


def _columns_of(line: np.ndarray) -> int:
    return rounded_up(line.shape[1], _UNIT)
