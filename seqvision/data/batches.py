"""A split in batches of one size, each example exactly once."""

from collections.abc import Iterator

import numpy as np

from seqvision.data.dataset import Split

Batch = dict[str, np.ndarray]


def padded_batches(split: Split, batch_size: int) -> Iterator[Batch]:
    """Batches in order; the last one is filled up with blank examples.

    Yields:
      `inputs` (B, height, width, channels) uint8, `labels` (B,) int32 and `mask` (B,) bool, False
      where an example only fills up the batch.
    """
    for start in range(0, len(split), batch_size):
        part = split.part(start, start + batch_size)
        missing = batch_size - len(part)
        yield {
            "inputs": pad(part.images, missing),
            "labels": pad(part.labels, missing),
            "mask": np.arange(batch_size) < len(part),
        }


def pad(array: np.ndarray, missing: int) -> np.ndarray:
    """`array` with `missing` zeros after its first axis."""
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)]) if missing else array
