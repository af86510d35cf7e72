"""A feed of examples of which only the next batches lie on the devices."""

from typing import Any

from jax.sharding import Mesh

from seqvision.data.batching import example_indices
from seqvision.data.class_balance import Draws
from seqvision.data.dataset import Split
from seqvision.data.device_feed import Chunk, own_places, own_shards, put_rows, read_chunks
from seqvision.data.prefetch import Batches
from seqvision.shapes import Indices
from seqvision.training.dispatch import MAX_STEPS_PER_CALL, Fed

CHUNKS = 3
"""One is trained on while the next lies ready and a third is on its way."""
_CHUNK_BYTES = 2**28


class StreamedFeed:
    """See `dispatch.Feed`. Batches come in chunks, in the order of `resident.ResidentFeed`.

    What is read is a function of the step alone, so a run goes on from any step.

    Args:
      split: what is trained on.
      seed: decides the order.
      batch_size: examples of a step.
      total_steps: of the training.
      mesh: the devices.
      draws: which examples come when; shuffled epochs by default.
    """

    streams = True

    def __init__(
        self,
        split: Split,
        seed: int,
        batch_size: int,
        total_steps: int,
        mesh: Mesh,
        draws: Draws | None = None,
    ) -> None:
        self.capacity = chunk_size(split, batch_size, total_steps)
        self._split, self._seed, self._batch_size = split, seed, batch_size
        self._mesh, self._draws = mesh, draws
        places = own_places(batch_size, mesh.size, own_shards(mesh))
        self._batches = Batches(split, self._examples, total_steps, places)
        self._chunks: Any = None
        # The chunk in use, and the step that it begins with.
        self._chunk: Chunk = {}
        self._first = -self.capacity

    def fetch(self, step: int) -> Fed:
        end = self._first + self.capacity
        if not self._first <= step < end:
            if self._chunks is None or step != end:
                self.close()
                self._chunks = read_chunks(self._batches, step, self.capacity, self._mesh)
            self._chunk = {}  # Makes room for the next.
            self._chunk, self._first = next(self._chunks), step
        offset = step - self._first
        rows = put_rows(self.capacity, self._batch_size, offset, self._mesh)
        return Fed(self._chunk, rows, self.capacity - offset)

    def prepare(self, step: int) -> None:
        pass  # Threads read ahead already.

    def close(self) -> None:
        """Ends the threads that read ahead."""
        if self._chunks is not None:
            self._chunks.close()
            self._chunks = None

    def _examples(self, step: int) -> Indices:
        first, count = step * self._batch_size, self._batch_size
        if self._draws is not None:
            return self._draws(self._seed, first, count)
        return example_indices(self._seed, len(self._split), first, count)


def chunk_size(split: Split, batch_size: int, total_steps: int) -> int:
    """Batches that lie on the devices together, as a chunk of moderate size."""
    batch_bytes = split.num_bytes // len(split) * batch_size
    return max(1, min(MAX_STEPS_PER_CALL, total_steps, _CHUNK_BYTES // batch_bytes))
