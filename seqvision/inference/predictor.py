"""Classes and probabilities of the user's images and clips."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from seqvision.data.files.images import read_image
from seqvision.data.preprocessing import Windows
from seqvision.inference.inputs import Input, read_inputs
from seqvision.inference.padded_batches import on_devices, padded_batches
from seqvision.inference.run_checks import check_classifies
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run, load_run
from seqvision.runtime.console import say
from seqvision.runtime.mesh import create_mesh
from seqvision.tasks.classification_steps import BatchOutput, make_predict_step
from seqvision.tasks.from_config import windows_of
from seqvision.tasks.predictions import Prediction, predictions


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
        """Gets ready.

        Args:
          predict: a padded batch of images, or of clips and their lengths (B,), to its outputs, all
            in the host's memory.
          data: shape and class names of the training data.
          batch_size: most examples in one call.
          windows: how `predict` cuts clips.
          num_devices: the number of examples in a call is a multiple of it.
        """
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
          UserError: there is no trained run, or it reads text.
        """
        run = load_run(Path(workdir), say, seed)
        check_classifies(run.settings, workdir)
        return cls.of(run, batch_size)

    @classmethod
    def of(cls, run: Run, batch_size: int | None = None) -> "Predictor":
        """Takes the weights of a run that is loaded already, and classifies; see `from_run`."""
        mesh, windows = create_mesh(), windows_of(run.settings)
        step = make_predict_step(run.model, mesh, windows)
        batch_size = batch_size or run.settings.data.eval_batch_size
        return cls(on_devices(step, run.params, mesh), run.data, batch_size, windows, mesh.size)

    def __call__(self, inputs: Iterable[np.ndarray]) -> Iterator[Prediction]:
        """Classifies images or clips in order, a batch at a time, as they are asked for.

        Args:
          inputs: uint8 arrays as in training, (height, width, channels) or, of any number of
            frames, (frames, height, width, channels); or an array of them. The channel axis may be
            left out where there is one channel.

        Raises:
          ValueError: an array of another shape or type.
        """
        # Images are all of one height: as time axis it pads nothing.
        unit = self.data.input_shape[0]
        for batch in padded_batches(
            map(self._checked, inputs),
            batch_size=self._batch_size,
            num_devices=self._num_devices,
            time_axis=0,
            unit=unit,
            most_steps=self._batch_size * unit,
        ):
            lengths = batch.lengths if self.data.of_clips else None
            outputs = self._predict(batch.inputs, lengths)
            yield from predictions(outputs, lengths, self._windows, batch.num_examples)

    def read_files(self, paths: Iterable[Path], invert: str) -> Iterator[Input]:
        """Reads images, clips and arrays from files, as this network was trained on them.

        Args:
          paths: see `inputs.find_inputs`.
          invert: see `data.files.images.read_image`.
        """
        data = self.data

        def image_of(path: Path) -> np.ndarray:
            return read_image(path, data.input_shape[-3:], data.background, invert)

        yield from read_inputs(paths, data.input_shape, data.of_clips, image_of)

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
