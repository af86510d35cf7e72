"""A split in batches of one size, each example exactly once."""

from collections.abc import Iterator

import numpy as np

from seqvision.shapes import HostMask, Indices


def padded_indices(num_examples: int, batch_size: int) -> Iterator[tuple[Indices, HostMask]]:
    """Batches of examples by their numbers, in order; the last one is filled up.

    Yields:
      Numbers (B,) int32, and a mask (B,) bool, False where a number only fills up the batch.
    """
    for start in range(0, num_examples, batch_size):
        indices = np.arange(start, start + batch_size, dtype=np.int32)
        mask = indices < num_examples
        yield np.where(mask, indices, 0), mask


def pad(array: np.ndarray, missing: int) -> np.ndarray:
    """`array` with `missing` zeros after its first axis."""
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)]) if missing else array
