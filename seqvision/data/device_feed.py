"""Which part of a streamed batch a process reads, and how it comes onto its devices."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.data.batching import padded_indices
from seqvision.data.prefetch import Batches, read_ahead
from seqvision.data.streamed import StreamedSplit
from seqvision.runtime.cpu_devices import usable_cores
from seqvision.runtime.mesh import batch_sharding, index_sharding
from seqvision.runtime.transfer import to_devices
from seqvision.shapes import HostMask, Indices

# Of a batch that is evaluated: several are read at once.
_BATCH_BYTES = 2**25

Chunk = dict[str, Any]
"""Arrays (rows, ...) on the devices, shared out: first all rows of the first device, and so on."""


def own_shards(mesh: Mesh) -> list[int]:
    """The numbers of this process's devices in the row of all."""
    own = jax.process_index()
    return [n for n, device in enumerate(mesh.devices.flat) if device.process_index == own]


def own_places(batch_size: int, num_shares: int, shares: Sequence[int]) -> Indices:
    """The places in a batch that these shares of it have."""
    places = np.arange(batch_size, dtype=np.int32).reshape(num_shares, -1)
    return places[np.asarray(shares)].reshape(-1)


def read_chunks(
    split: StreamedSplit, batches: Batches, start: int, chunk_size: int, mesh: Mesh
) -> Any:
    """Chunks of `chunk_size` batches, read ahead and put on the devices.

    The last one is filled up with zeros: all have one shape.

    Args:
      split: what is read.
      batches: those of it that this process reads.
      start: the first batch's number.
      chunk_size: batches of a chunk.
      mesh: the devices.

    Returns:
      An iterator over `Chunk`s, to be closed.
    """
    shares = own_shards(mesh)

    def put(read: list[dict[str, np.ndarray]]) -> Chunk:
        chunk = gathered(read, chunk_size, len(shares))
        placed = {name: _placed(array, mesh, shares) for name, array in chunk.items()}
        return jax.block_until_ready(placed)

    return read_ahead(batches, start, chunk_size, usable_cores(), put)


def gathered(
    batches: list[dict[str, np.ndarray]], chunk_size: int, num_shares: int
) -> dict[str, np.ndarray]:
    """Batches of arrays (B, ...) as arrays (shares, chunk_size, B / shares, ...)."""
    arrays = {}
    for name, first in batches[0].items():
        size = len(first) // num_shares
        array = np.zeros((num_shares, chunk_size, size, *first.shape[1:]), first.dtype)
        for number, batch in enumerate(batches):
            array[:, number] = batch[name].reshape(num_shares, size, *first.shape[1:])
        arrays[name] = array
    return arrays


def _placed(array: np.ndarray, mesh: Mesh, shares: list[int]) -> jax.Array:
    rows = array.shape[1] * array.shape[2]

    def share(index: Any) -> np.ndarray:
        own = array[shares.index((index[0].start or 0) // rows)]
        return own.reshape(rows, *array.shape[3:])

    shape = (mesh.size * rows, *array.shape[3:])
    return jax.make_array_from_callback(shape, batch_sharding(mesh), share)


def put_rows(chunk_size: int, batch_size: int, offset: int, mesh: Mesh) -> jax.Array:
    """Where the examples of a chunk's batches lie among its rows, from batch `offset` on.

    Returns:
      A table (S, B) for `train_steps`: each device counts its own rows. What is behind the chunk's
      end repeats its last batch.
    """
    size = batch_size // mesh.size
    batches = np.minimum(offset + np.arange(chunk_size), chunk_size - 1)
    rows = batches[:, None] * size + np.arange(size)
    return to_devices(np.tile(rows, mesh.size).astype(np.int32), index_sharding(mesh))


def put_batch_rows(batch_size: int, mesh: Mesh) -> jax.Array:
    """The same for a chunk of one batch: (B,) for `eval_step`."""
    rows = np.tile(np.arange(batch_size // mesh.size, dtype=np.int32), mesh.size)
    return to_devices(rows, batch_sharding(mesh))


def moderate_size(split: StreamedSplit, batch_size: int) -> int:
    """Examples to evaluate at once: `batch_size`, or fewer where they are large."""
    return max(1, min(batch_size, _BATCH_BYTES * len(split) // split.num_bytes))


def streamed_batches(
    split: StreamedSplit, batch_size: int, mesh: Mesh
) -> Iterator[tuple[Chunk, HostMask]]:
    """A whole split on the devices, batch by batch, in order; the last one is filled up.

    Args:
      split: what is read.
      batch_size: a multiple of the devices.
      mesh: the devices.

    Yields:
      The examples (B, ...), and a mask (B,) bool, False where one only fills up the batch.
    """
    numbered = list(padded_indices(len(split), batch_size))
    places = own_places(batch_size, mesh.size, own_shards(mesh))
    batches = Batches(split, lambda number: numbered[number][0], len(numbered), places)
    chunks = read_chunks(split, batches, 0, 1, mesh)
    try:
        for _, mask in numbered:
            yield next(chunks), mask
    finally:
        chunks.close()
