"""Batches of examples of any length, padded to a few shapes and run on all devices."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.data.batching import batches, padded_size, rounded_up
from seqvision.runtime.mesh import batch_sharding, replicated


class PaddedBatch(NamedTuple):
    """Examples padded with zeros to one shape, and up to a number that the devices can share.

    Attributes:
      inputs: (B, ...) uint8.
      lengths: (B,) int32, steps of each example along the time axis; 0 where it is padding.
      num_examples: how many of the B are no padding; they come first.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    num_examples: int


def padded_batches(
    arrays: Iterable[np.ndarray],
    *,
    batch_size: int,
    num_devices: int,
    time_axis: int,
    unit: int,
    most_steps: int,
) -> Iterator[PaddedBatch]:
    """Batches arrays in order, as they are asked for. Few shapes make few compiled programs.

    Args:
      arrays: uint8, of one shape but for their time axis.
      batch_size: most examples of a batch.
      num_devices: B is a multiple of it.
      time_axis: the axis of an array that differs.
      unit: arrays are padded to a multiple of it.
      most_steps: of a batch with its padding, unless a single array has more.
    """

    def steps_of(array: np.ndarray) -> int:
        return rounded_up(array.shape[time_axis], unit)

    for batch in batches(arrays, batch_size, steps_of, most_steps):
        size = padded_size(len(batch), batch_size, num_devices)
        shape = list(batch[0].shape)
        shape[time_axis] = max(map(steps_of, batch))
        inputs = np.zeros((size, *shape), np.uint8)
        lengths = np.zeros(size, np.int32)
        for index, array in enumerate(batch):
            inputs[index][tuple(map(slice, array.shape))] = array
            lengths[index] = array.shape[time_axis]
        yield PaddedBatch(inputs, lengths, len(batch))


def on_devices(
    step: Callable[..., Any], params: Any, mesh: Mesh
) -> Callable[[np.ndarray, np.ndarray | None], Any]:
    """A compiled `step(params, inputs, lengths)` as a function of the inputs and lengths alone.

    It takes and returns arrays in the host's memory; the devices of `mesh` share each batch.
    """
    params = jax.device_put(params, replicated(mesh))

    def run(inputs: np.ndarray, lengths: np.ndarray | None) -> Any:
        return jax.device_get(
            step(params, *jax.device_put((inputs, lengths), batch_sharding(mesh)))
        )

    return run
