"""Prediction of inputs of any length, in padded batches on all devices."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import jax
import numpy as np

from seqvision.data.batching import batches, padded_size, rounded_up
from seqvision.runs.saved_run import Run, load_run
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated

Reader = TypeVar("Reader", bound="BatchReader")


class BatchReader:
    """A trained network that predicts inputs in order, in padded batches on all devices.

    Attributes:
      data: shape and class names of the training data.
    """

    _time_axis: ClassVar[int]
    """The axis along which inputs differ."""

    def __init__(self, run: Run, batch_size: int | None = None, unit: int | None = None) -> None:
        """Takes the weights of a run.

        Args:
          run: a trained run.
          batch_size: most inputs in one step; by default the run's `data.eval_batch_size`.
          unit: inputs are padded to a multiple of it, by default of their length in training: few
            shapes make few compiled programs.
        """
        self.data, self._task = run.data, run.task
        self._unit = unit or run.data.input_shape[self._time_axis]
        self._batch_size = batch_size or run.settings.data.eval_batch_size
        self._mesh = create_mesh()
        self._params = jax.device_put(run.params, replicated(self._mesh))
        self._step = run.task.create_predict_step(run.model, self._mesh)

    @classmethod
    def from_run(
        cls: type[Reader],
        workdir: str | Path,
        batch_size: int | None = None,
        seed: int | None = None,
    ) -> Reader:
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          batch_size: most inputs in one step; by default the run's `data.eval_batch_size`.
          seed: of a run of several seeds, whose weights; by default those of the first.

        Raises:
          UserError: there is no trained run, or it reads other inputs.
        """
        return cls(load_run(Path(workdir), seed), batch_size)

    def _predictions(self, arrays: Iterable[np.ndarray]) -> Iterator[Any]:
        """Predicts arrays of one type, of one shape but for their time axis, as they are needed."""
        axis = self._time_axis

        def padded_steps(array: np.ndarray) -> int:
            return rounded_up(array.shape[axis], self._unit)

        # Of a batch with its padding, unless a single array has more.
        most_steps = self._batch_size * rounded_up(self.data.input_shape[axis], self._unit)
        for batch in batches(arrays, self._batch_size, padded_steps, most_steps):
            size = padded_size(len(batch), self._batch_size, self._mesh.size)
            shape = list(batch[0].shape)
            shape[axis] = max(map(padded_steps, batch))
            inputs = np.zeros((size, *shape), batch[0].dtype)
            lengths = np.zeros(size, np.int32)
            for index, array in enumerate(batch):
                inputs[index][tuple(map(slice, array.shape))] = array
                lengths[index] = array.shape[axis]
            have_lengths = self._task.reads_lines or self.data.of_clips
            yield from self._predict(inputs, lengths if have_lengths else None, len(batch))

    def _predict(self, inputs: np.ndarray, lengths: np.ndarray | None, count: int) -> Iterator[Any]:
        """The predictions for the first `count` examples of a batch; the others are padding."""
        placed = jax.device_put((inputs, lengths), batch_sharding(self._mesh))
        outputs = jax.device_get(self._step(self._params, *placed))
        yield from self._task.predictions(outputs, lengths, count)
