"""Classes and probabilities for the user's images and clips, from Python or into a file."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from seqvision.answers import Prediction, predictions
from seqvision.data.batches import pad
from seqvision.data.files import INVERSIONS, read_image
from seqvision.data.inputs import find_inputs, read_inputs
from seqvision.errors import UserError, did_you_mean
from seqvision.prediction_file import checked_output, row_of, write_rows
from seqvision.progress import on_terminal, say
from seqvision.run import DataFacts, load_run, read_data_facts, windows_of
from seqvision.state import create_mesh, replicated
from seqvision.steps import Answer, Windows, batch_sharding, make_predict_step


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
        predict: Callable[[np.ndarray, np.ndarray | None], Answer],
        data: DataFacts,
        batch_size: int,
        windows: Windows | None = None,
        num_devices: int = 1,
    ) -> None:
        self._predict = predict
        self._unit = num_devices
        self._batch_size = batch_size
        self._largest = -(-batch_size // num_devices) * num_devices
        self._windows = windows
        self.data = data

    @classmethod
    def from_run(cls, workdir: str | Path, batch_size: int | None = None) -> "Predictor":
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          batch_size: examples per step; by default the run's `data.eval_batch_size`.

        Raises:
          UserError: there is no trained run.
        """
        run = load_run(Path(workdir), say)
        mesh, windows = create_mesh(), windows_of(run.settings)
        step = make_predict_step(run.model, mesh, windows)
        params = jax.device_put(run.params, replicated(mesh))

        def predict(inputs: np.ndarray, lengths: np.ndarray | None) -> Answer:
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
        for chunk in self._chunks(map(self._checked, inputs)):
            # Few sizes, so that few programs are compiled: powers of two of the devices' share.
            size = self._unit
            while size < len(chunk):
                size = min(2 * size, self._largest)
            lengths = None
            if self.data.of_clips:
                lengths = pad(np.array([len(clip) for clip in chunk], np.int32), size - len(chunk))
                longest = self._rounded(int(lengths.max()))
                chunk = [pad(clip, longest - len(clip)) for clip in chunk]
            answer = self._predict(pad(np.stack(chunk), size - len(chunk)), lengths)
            yield from predictions(answer, lengths, self._windows, len(chunk))

    def _chunks(self, arrays: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Batches of `batch_size`; of clips longer than in training, as many fewer."""
        chunk: list[np.ndarray] = []
        longest = 0
        for array in arrays:
            length = self._rounded(len(array)) if self.data.of_clips else 1
            most = self._batch_size * (self.data.input_shape[0] if self.data.of_clips else 1)
            if chunk and (len(chunk) + 1) * max(longest, length) > most:
                yield chunk
                chunk, longest = [], 0
            chunk.append(array)
            longest = max(longest, length)
            if len(chunk) == self._batch_size:
                yield chunk
                chunk, longest = [], 0
        if chunk:
            yield chunk

    def _rounded(self, length: int) -> int:
        """Whole multiples of the training clips' length, so that few programs are compiled."""
        unit = self.data.input_shape[0]
        return -(-length // unit) * unit

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


def predict_files(workdir: Path, inputs: str, output: str, invert: str) -> int:
    """Classifies files and writes one row for each, in the order of their names.

    Args:
      workdir: a trained run.
      inputs: a glob pattern, such as `digits/*.png`; see `data.inputs`.
      output: a `.csv` or `.jsonl` file, written whole or not at all; "" prints CSV.
      invert: see `data.files.read_image`.

    Returns:
      The number of inputs that could not be read; each has a row with its error.

    Raises:
      UserError: nothing matches, no trained run, or the output cannot be written.
    """
    if invert not in INVERSIONS:
        raise UserError(
            f"--invert: '{invert}' is not known; choose one of {', '.join(INVERSIONS)}"
            f"{did_you_mean(invert, INVERSIONS)}"
        )
    target = checked_output(output)
    if not inputs:
        raise UserError("--inputs: missing; name what to read, such as --inputs='digits/*.png'")
    paths = find_inputs(inputs, read_data_facts(workdir).of_clips)
    rows = list(_rows(Predictor.from_run(workdir), paths, invert))
    failed = sum(1 for row in rows if row["error"])
    write_rows(rows, target)
    if target is not None:
        say(f"{len(rows) - failed} predictions written to {target}")
    for row in rows:
        if row["error"]:
            print(f"unreadable: {row['file']}: {row['error']}", file=sys.stderr)
    return failed


def _rows(predictor: Predictor, paths: list[Path], invert: str) -> Iterator[dict[str, Any]]:
    """One row an input, in order; read and classified a batch at a time."""
    data = predictor.data
    names: list[str] = []
    errors: dict[int, str] = {}

    def image_of(path: Path) -> np.ndarray:
        return read_image(path, data.input_shape[-3:], data.background, invert)

    def readable() -> Iterator[np.ndarray]:
        shown = tqdm(paths, unit="file", disable=not on_terminal(), leave=False)
        for name, array, error in read_inputs(shown, data.input_shape, data.of_clips, image_of):
            names.append(name)
            if array is None:
                errors[len(names) - 1] = error or "unreadable"
            else:
                yield array

    # All are read before the first row, so that `errors` is complete.
    found = iter(list(predictor(readable())))
    for index, name in enumerate(names):
        error = errors.get(index)
        prediction = None if error else next(found)
        yield {"file": name, **row_of(prediction, data.class_names), "error": error}
