"""What a run says of the user's images, clips and lines, from Python or into a file."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from seqvision.config.schema import Settings
from seqvision.data.batching import batches, pad, padded_size, rounded_up
from seqvision.data.files.images import check_inversion, read_image
from seqvision.data.preprocessing import Windows
from seqvision.errors import UserError
from seqvision.inference.inputs import Input, check_pattern, find_inputs, read_inputs, read_lines
from seqvision.inference.output_file import checked_output, write_rows
from seqvision.inference.transcriber import Transcriber
from seqvision.runs.compatibility import read_settings
from seqvision.runs.data_facts import DataFacts, read_data_facts
from seqvision.runs.saved_run import load_run
from seqvision.runtime.console import on_terminal, say
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated
from seqvision.tasks.classification_steps import BatchOutput, make_predict_step
from seqvision.tasks.from_config import windows_of
from seqvision.tasks.predictions import Prediction, prediction_row, predictions, transcription_row


class Predictor:
    """A trained network, ready to classify images or clips.

        predictor = Predictor.from_run("runs/row_lstm")
        for prediction in predictor(images):
            print(prediction["classes"], prediction["probabilities"])

    Attributes:
      data: shape and class names of the training data.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray, np.ndarray | None], BatchOutput],
        data: DataFacts,
        batch_size: int,
        windows: Windows | None = None,
        num_devices: int = 1,
    ) -> None:
        self._predict = predict
        self._num_devices = num_devices
        self._batch_size = batch_size
        self._windows = windows
        self.data = data

    @classmethod
    def from_run(
        cls, workdir: str | Path, batch_size: int | None = None, seed: int | None = None
    ) -> "Predictor":
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          batch_size: examples per step; by default the run's `data.eval_batch_size`.
          seed: of a run of several seeds, whose weights; by default those of the first.

        Raises:
          UserError: there is no trained run.
        """
        run = load_run(Path(workdir), say, seed)
        if run.settings.reads_text:
            raise UserError(
                f"{workdir}: this run reads text; `inference.transcriber.Transcriber` is for it"
            )
        mesh, windows = create_mesh(), windows_of(run.settings)
        step = make_predict_step(run.model, mesh, windows)
        params = jax.device_put(run.params, replicated(mesh))

        def predict(inputs: np.ndarray, lengths: np.ndarray | None) -> BatchOutput:
            placed = jax.device_put((inputs, lengths), batch_sharding(mesh))
            return jax.device_get(step(params, *placed))

        batch_size = batch_size or run.settings.data.eval_batch_size
        return cls(predict, run.data, batch_size, windows, mesh.size)

    def __call__(self, inputs: Iterable[np.ndarray]) -> Iterator[Prediction]:
        """Classifies images or clips in order, a batch at a time, as they are asked for.

        Args:
          inputs: uint8 arrays as in training, (height, width, channels) or, of any number of
            frames, (frames, height, width, channels); or an array of them. The channel axis may be
            left out where there is one channel.

        Raises:
          ValueError: an array of another shape or type.
        """
        unit = self.data.input_shape[0] if self.data.of_clips else 1
        chunks = batches(
            map(self._checked, inputs), self._batch_size, self._steps_of, self._batch_size * unit
        )
        for chunk in chunks:
            size = padded_size(len(chunk), self._batch_size, self._num_devices)
            lengths = None
            if self.data.of_clips:
                lengths = pad(np.array([len(clip) for clip in chunk], np.int32), size - len(chunk))
                longest = max(map(self._steps_of, chunk))
                chunk = [pad(clip, longest - len(clip)) for clip in chunk]
            answer = self._predict(pad(np.stack(chunk), size - len(chunk)), lengths)
            yield from predictions(answer, lengths, self._windows, len(chunk))

    def _steps_of(self, array: np.ndarray) -> int:
        """Whole multiples of the training clips' length, so that few programs are compiled."""
        return rounded_up(len(array), self.data.input_shape[0]) if self.data.of_clips else 1

    def _checked(self, array: np.ndarray) -> np.ndarray:
        array, shape = np.asarray(array), self.data.input_shape
        if array.ndim == len(shape) - 1 and shape[-1] == 1:
            array = array[..., None]
        kind, wanted, fits = "image", f"{shape}", array.shape == shape
        if self.data.of_clips:
            kind, wanted = "clip", f"(frames, {', '.join(map(str, shape[1:]))})"
            fits = array.ndim == len(shape) and array.shape[1:] == shape[1:] and len(array) > 0
        if not fits or array.dtype != np.uint8:
            raise ValueError(
                f"{kind} is {array.dtype} {array.shape}; this run reads uint8 {wanted}, 0 to 255"
            )
        return array


def predict_files(
    workdir: Path, inputs: str, output: str, invert: str, seed: int | None = None
) -> int:
    """Classifies (or reads) files and writes one row for each, in the order of their names.

    Args:
      workdir: a trained run.
      inputs: a glob pattern, such as `digits/*.png`; see `data.inputs`.
      output: a `.csv` or `.jsonl` file, written whole or not at all; "" prints CSV.
      invert: see `data.files.images.read_image`.
      seed: see `Predictor.from_run`.

    Returns:
      The number of inputs that could not be read; each has a row with its error.

    Raises:
      UserError: nothing matches, no trained run, or the output cannot be written.
    """
    check_inversion(invert)
    target = checked_output(output)
    check_pattern(inputs)
    data = read_data_facts(workdir)
    paths = tqdm(
        find_inputs(inputs, data.of_clips), unit="file", disable=not on_terminal(), leave=False
    )
    if read_settings(workdir).reads_text:
        transcriber = Transcriber.from_run(workdir, seed=seed)
        rows = _rows(read_lines(paths, transcriber.height, invert), transcriber, transcription_row)
    else:

        def image_of(path: Path) -> np.ndarray:
            return read_image(path, data.input_shape[-3:], data.background, invert)

        rows = _rows(
            read_inputs(paths, data.input_shape, data.of_clips, image_of),
            Predictor.from_run(workdir, seed=seed),
            lambda prediction: prediction_row(prediction, data.class_names),
        )
    failed = sum(1 for row in rows if row["error"])
    write_rows(rows, target)
    if target is not None:
        say(f"{len(rows) - failed} predictions written to {target}")
    for row in rows:
        if row["error"]:
            print(f"unreadable: {row['file']}: {row['error']}", file=sys.stderr)
    return failed


def _rows(
    inputs: Iterable[Input],
    answer: Callable[[Iterator[np.ndarray]], Iterable[Any]],
    row_of_answer: Callable[[Any], dict[str, Any]],
) -> list[dict[str, Any]]:
    """One row an input, in order; read and answered a batch at a time."""
    names: list[str] = []
    errors: list[str | None] = []

    def readable() -> Iterator[np.ndarray]:
        for name, array, error in inputs:
            names.append(name)
            errors.append((error or "unreadable") if array is None else None)
            if array is not None:
                yield array

    # All are read before the first row, so that `errors` is complete.
    found = iter(list(answer(readable())))
    return [
        {"file": name, **row_of_answer(None if error else next(found)), "error": error}
        for name, error in zip(names, errors, strict=True)
    ]


def run(
    settings: Settings, workdir: Path, inputs: str, output: str, invert: str, seed: int | None
) -> int:
    """`--mode=predict`, with the settings of the run; returns the exit code."""
    return min(1, predict_files(workdir, inputs, output, invert, seed))
