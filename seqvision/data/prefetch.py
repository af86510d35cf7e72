"""Batches of a streamed split, read ahead of their use in Grain's threads."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from seqvision.data.dataset import Split
from seqvision.runtime.console import quiet
from seqvision.shapes import Indices

# Decoders let go of Python's lock, so threads will do; more of them only get in each other's way.
_MOST_THREADS = 16


@dataclasses.dataclass(frozen=True)
class Batches:
    """Batches by their numbers, as Grain reads them: a source of random access.

    Attributes:
      split: what they are of.
      order: the examples (B,) of the batch with a number.
      num_batches: how many there are.
      places: which of the B places of a batch are read: those of this process.
    """

    split: Split
    order: Callable[[int], Indices]
    num_batches: int
    places: Indices

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        return self.split.read(self.order(number)[self.places])


def read_ahead(
    batches: Batches,
    start: int,
    chunk_size: int,
    num_threads: int,
    place: Callable[[list[dict[str, np.ndarray]]], Any],
) -> Any:
    """Reads batches number `start` and on, some at a time, while the devices compute.

    Where it begins is all that it has to know: to resume is to call it with another `start`.

    Args:
      batches: see there.
      start: the first one's number.
      chunk_size: batches that come together; the last of all may be fewer.
      num_threads: that read and decode.
      place: puts such a chunk on the devices; called in a thread of its own.

    Returns:
      What `place` returned, chunk by chunk: an iterator, to be closed. An error met in a thread is
      raised at its chunk.
    """
    with quiet("absl"):  # It warns of profiling, which nobody asked it for.
        import grain

    threads = min(num_threads, _MOST_THREADS)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + chunk_size)
    read = grain.MapDataset.source(batches)[start:].to_iter_dataset(options)
    chunks = read.batch(chunk_size, batch_fn=list).map(place)
    ahead = iter(grain.experimental.ThreadPrefetchIterDataset(chunks, prefetch_buffer_size=1))
    ahead.start_prefetch()
    return ahead
