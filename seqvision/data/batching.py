"""Batches: which examples come when, how many at once, and how the last one is filled up."""

import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from jax.sharding import Mesh

from seqvision.shapes import HostMask, Indices


# Two epochs, for the batch that spans them, of each of the seeds that a run usually has at most.
@functools.lru_cache(maxsize=2 * 8)
def permutation(seed: int, epoch: int, num_examples: int, stream: int = 0) -> Indices:
    """The order of one epoch, in one of many streams."""
    key = [seed, epoch, stream] if stream else [seed, epoch]
    return np.random.default_rng(key).permutation(num_examples).astype(np.int32)


def example_indices(
    seed: int, num_examples: int, start: int, count: int, stream: int = 0
) -> Indices:
    """Examples number `start` to `start + count` of an endless sequence of shuffled epochs.

    Epochs follow each other without a gap: the batch that an epoch does not fill continues with
    the next one, so every example is seen exactly once in every epoch.
    """
    indices = np.empty(count, np.int32)
    filled = 0
    while filled < count:
        epoch, offset = divmod(start + filled, num_examples)
        taken = permutation(seed, epoch, num_examples, stream)[offset : offset + count - filled]
        indices[filled : filled + len(taken)] = taken
        filled += len(taken)
    return indices


def padded_indices(num_examples: int, batch_size: int) -> Iterator[tuple[Indices, HostMask]]:
    """Batches of examples by their numbers, in order; the last one is filled up.

    Yields:
      Numbers (B,) int32, and a mask (B,) bool, False where a number only fills up the batch.
    """
    for start in range(0, num_examples, batch_size):
        indices = np.arange(start, start + batch_size, dtype=np.int32)
        mask = indices < num_examples
        yield np.where(mask, indices, 0), mask


def batches(
    arrays: Iterable[np.ndarray],
    batch_size: int,
    steps_of: Callable[[np.ndarray], int],
    most_steps: int,
) -> Iterator[list[np.ndarray]]:
    """Arrays in order, in batches of `batch_size`; of long ones, as many fewer.

    Args:
      arrays: taken as they are needed.
      batch_size: most of a batch.
      steps_of: how many time steps an array is to be padded to where it is the longest.
      most_steps: of a batch as it is padded, unless a single array has more.
    """
    batch: list[np.ndarray] = []
    longest = 0
    for array in arrays:
        steps = steps_of(array)
        if batch and (len(batch) + 1) * max(longest, steps) > most_steps:
            yield batch
            batch, longest = [], 0
        batch.append(array)
        longest = max(longest, steps)
        if len(batch) == batch_size:
            yield batch
            batch, longest = [], 0
    if batch:
        yield batch


def padded_size(count: int, batch_size: int, num_devices: int) -> int:
    """Number of examples that a batch of `count` is filled up to: few sizes make few programs.

    Powers of two of a device's shard, or all of `batch_size`.
    """
    size, largest = num_devices, rounded_up(batch_size, num_devices)
    while size < count:
        size = min(2 * size, largest)
    return size


def rounded_up(count: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-count // unit) * unit


def shared_batch_size(batch_size: int, num_examples: int, mesh: Mesh) -> int:
    """Rounded up to a multiple of the devices; no larger than the split needs."""
    return rounded_up(min(batch_size, num_examples), mesh.size)
