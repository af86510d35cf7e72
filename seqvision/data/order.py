"""Which example comes when: a pure function of (seed, epoch)."""

import functools

import numpy as np

from seqvision.shapes import Indices


# Two epochs, for the batch that spans them, of each of the seeds that a run usually has at most.
@functools.lru_cache(maxsize=2 * 8)
def permutation(seed: int, epoch: int, num_examples: int) -> Indices:
    """The order of one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(num_examples).astype(np.int32)


def example_indices(seed: int, num_examples: int, start: int, count: int) -> Indices:
    """Examples number `start` to `start + count` of an endless sequence of shuffled epochs.

    Epochs follow each other without a gap: the batch that an epoch does not fill continues with
    the next one, so every example is seen exactly once in every epoch.
    """
    indices = np.empty(count, np.int32)
    filled = 0
    while filled < count:
        epoch, offset = divmod(start + filled, num_examples)
        taken = permutation(seed, epoch, num_examples)[offset : offset + count - filled]
        indices[filled : filled + len(taken)] = taken
        filled += len(taken)
    return indices
