"""Classes and probabilities of the user's images and clips."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.data.files.feature_files import checked_features
from seqvision.data.files.opening import UnreadableImageError
from seqvision.errors import UserError
from seqvision.inference.batch_reader import BatchReader
from seqvision.inference.file_reader import FileReader, FrameCount
from seqvision.inference.inputs import Input, ReadFiles, read_feature_inputs
from seqvision.runs.evaluations import load_temperature
from seqvision.runs.saved_run import Run, load_run


class Predictor(BatchReader):
    """A trained network, ready to classify images or clips.

    predictor = Predictor.from_run("runs/row_lstm")
    for prediction in predictor(images):
        print(prediction["classes"], prediction["probabilities"])
    """

    # Images are all of one height: as time axis it pads nothing.
    _time_axis = 0

    def __init__(self, run: Run, batch_size: int | None = None, calibrated: bool = False) -> None:
        """See `BatchReader`.

        Args:
          run: a trained run.
          batch_size: most inputs in one step; by default the run's `data.eval_batch_size`.
          calibrated: whether probabilities are at the temperature that was fitted to the run.

        Raises:
          UserError: the run reads text, or no temperature was fitted to it.
        """
        if run.settings.reads_text:
            raise UserError(
                f"{run.workdir}: this run reads text and knows no classes; choose a run trained on"
                " images or clips, or --mode=predict (from Python: Transcriber)"
            )
        if calibrated and run.data.targets.kind == "number":
            raise UserError(
                f"{run.workdir}: this run predicts numbers, which have no probabilities to"
                " calibrate; leave --calibrated out"
            )
        self._temperature = load_temperature(run) if calibrated else None
        super().__init__(run, batch_size)
        asked = run.settings.data
        height, width = run.data.input_shape[-3:-1]
        # Those that were brought to this size may have had any proportions.
        self._trained_size = None if asked.height else (height, width)
        # Where the user chose the range, most values may have been outside in training, too.
        self._most_cut = 0.5 if asked.value_range == "auto" else 1.0
        self._frame_count = FrameCount()
        if run.settings.model.cnn_per_frame:
            window = asked.window
            self._frame_count = FrameCount(window or self.data.input_shape[0], bool(window))
        self._reads_features = run.settings.model.sequence == "features"

    @classmethod
    def from_run(
        cls,
        workdir: str | Path,
        batch_size: int | None = None,
        seed: int | None = None,
        calibrated: bool = False,
    ) -> "Predictor":
        """Takes the weights of a trained run; see `BatchReader.from_run` and `Predictor`."""
        return cls(load_run(Path(workdir), seed), batch_size, calibrated)

    def __call__(self, inputs: Iterable[np.ndarray]) -> Iterator[Any]:
        """Classifies images or clips in order, a batch at a time, as they are asked for.

        What it gives is a `tasks.predictions.Prediction`; of runs that have other targets, a
        `StepPrediction`, `LabelPrediction` or `NumberPrediction` of their task.

        Args:
          inputs: uint8 arrays as in training, (height, width, channels) or, of any number of
            frames, (frames, height, width, channels); or an array of them. The channel axis may be
            left out where there is one channel. Of a run on features, (frames, D).

        Raises:
          ValueError: an array of another shape or type.
        """
        predictions = self._predictions(map(self._checked, inputs))
        if self._temperature is None:
            return predictions
        return (self._task.calibrated(one, self._temperature) for one in predictions)

    def read_files(self, paths: Iterable[Path], invert: str) -> Iterator[Input]:
        """Reads images, clips and arrays from files, as this network was trained on them.

        Args:
          paths: see `inputs.find_inputs`.
          invert: see `data.files.images.read_image`, and `inputs.read_inputs`.
        """
        return self.file_reader(invert)(paths)

    def file_reader(self, invert: str) -> ReadFiles:
        """`read_files` as a function that other processes can call."""
        if self._reads_features:
            return functools.partial(read_feature_inputs, num_features=self.data.input_shape[-1])
        data = self.data
        return FileReader(
            input_shape=data.input_shape,
            background=data.background,
            tones=data.tones,
            invert=invert,
            trained_size=self._trained_size,
            most_cut=self._most_cut,
            frame_count=self._frame_count,
        )

    def _checked(self, array: np.ndarray) -> np.ndarray:
        array, shape = np.asarray(array), self.data.input_shape
        if self._reads_features:
            try:
                return checked_features(array.reshape(len(array), -1), shape[-1])[:, None, None]
            except UnreadableImageError as wrong:
                raise ValueError(f"clip of features: {wrong}") from None
        if array.ndim == len(shape) - 1 and shape[-1] == 1:
            array = array[..., None]
        kind, wanted, fits = "image", f"{shape}", array.shape == shape
        if self.data.of_clips:
            kind, wanted = "clip", f"(frames, {', '.join(map(str, shape[1:]))})"
            fits = array.ndim == len(shape) and array.shape[1:] == shape[1:] and len(array) > 0
        if not fits or array.dtype != np.uint8:
            recipe = self.data.tones.recipe
            made = f"; values v of more than 8 bits become that by {recipe}" if recipe else ""
            raise ValueError(
                f"{kind} is {array.dtype} {array.shape}; this run reads uint8 {wanted}, 0 to 255"
                f"{made}"
            )
        if fault := self._frame_count.fault(array):
            raise ValueError(fault)
        return array
