"""Examples on the devices: all of a split in memory, or the next batches of a streamed one."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from seqvision.data.batching import padded_indices, shared_batch_size
from seqvision.data.dataset import Split
from seqvision.data.prefetch import Batches, read_ahead
from seqvision.runtime.cpu_devices import usable_cores
from seqvision.runtime.mesh import DATA_AXIS, batch_sharding, index_sharding, replicated
from seqvision.runtime.transfer import to_devices
from seqvision.shapes import HostMask, Indices

# Of a batch that is evaluated: several are read at once.
_BATCH_BYTES = 2**25
# And of examples that are made: what their frames become in the network is larger.
_MADE_BYTES = 2**23

Chunk = dict[str, Any]
"""Arrays (rows, ...) on the devices, sharded: first all rows of the first device, and so on."""


def own_shards(mesh: Mesh) -> list[int]:
    """The numbers of this process's devices in the row of all."""
    own = jax.process_index()
    return [n for n, device in enumerate(mesh.devices.flat) if device.process_index == own]


def own_places(batch_size: int, num_shards: int, shards: Sequence[int]) -> Indices:
    """The places in a batch that lie in these shards of it."""
    places = np.arange(batch_size, dtype=np.int32).reshape(num_shards, -1)
    return places[np.asarray(shards)].reshape(-1)


def read_chunks(batches: Batches, start: int, chunk_size: int, mesh: Mesh) -> Any:
    """Chunks of `chunk_size` batches, read ahead and put on the devices.

    The last one is filled up with zeros: all have one shape.

    Args:
      batches: those that this process reads.
      start: the first batch's number.
      chunk_size: batches of a chunk.
      mesh: the devices.

    Returns:
      An iterator over `Chunk`s, to be closed.
    """
    shards = own_shards(mesh)

    def put(read: list[dict[str, np.ndarray]]) -> Chunk:
        chunk = gathered(read, chunk_size, len(shards))
        placed = {name: _placed(array, mesh, shards) for name, array in chunk.items()}
        return jax.block_until_ready(placed)

    return read_ahead(batches, start, chunk_size, usable_cores(), put)


def gathered(
    batches: list[dict[str, np.ndarray]], chunk_size: int, num_shards: int
) -> dict[str, np.ndarray]:
    """Batches of arrays (B, ...) as arrays (shards, chunk_size, B / shards, ...)."""
    arrays = {}
    for name, first in batches[0].items():
        size = len(first) // num_shards
        array = np.zeros((num_shards, chunk_size, size, *first.shape[1:]), first.dtype)
        for number, batch in enumerate(batches):
            array[:, number] = batch[name].reshape(num_shards, size, *first.shape[1:])
        arrays[name] = array
    return arrays


def _placed(array: np.ndarray, mesh: Mesh, shards: list[int]) -> jax.Array:
    rows = array.shape[1] * array.shape[2]

    def shard(index: Any) -> np.ndarray:
        own = array[shards.index((index[0].start or 0) // rows)]
        return own.reshape(rows, *array.shape[3:])

    shape = (mesh.size * rows, *array.shape[3:])
    return jax.make_array_from_callback(shape, batch_sharding(mesh), shard)


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


def evaluation_batches(
    split: Split, batch_size: int, mesh: Mesh
) -> Iterator[tuple[Any, jax.Array, HostMask]]:
    """A whole split for `step(params, arrays, indices, ...)`, each example once, in order.

    The last batch is filled up. Closing the iterator ends the threads that read streamed examples.
    Wait for a step before taking the batch after the next, lest streamed ones pile up on devices.

    Args:
      split: of any kind.
      batch_size: most examples of a batch; fewer where the split is smaller or examples that are
        streamed or made are large. It is rounded up to a multiple of the devices.
      mesh: the devices.

    Yields:
      `arrays` and `indices` (B,) for `split.take` on the devices: all of the split's arrays,
      replicated, and numbers in the split; or the streamed examples of this batch, sharded, and
      each device's rows of its shard (see `arrays_spec`). A mask (B,) bool on the host, False where
      an example only fills up the batch.
    """
    if split.is_streamed:
        batch_size = max(1, min(batch_size, _BATCH_BYTES * len(split) // split.num_bytes))
    if split.example_bytes:
        batch_size = max(1, min(batch_size, _MADE_BYTES // split.example_bytes))
    size = shared_batch_size(batch_size, len(split), mesh)
    numbered = list(padded_indices(len(split), size))
    if not split.is_streamed:
        arrays = to_devices(split.arrays, replicated(mesh))
        for indices, mask in numbered:
            yield arrays, to_devices(indices, batch_sharding(mesh)), mask
        return
    places, rows = own_places(size, mesh.size, own_shards(mesh)), put_batch_rows(size, mesh)
    batches = Batches(split, lambda number: numbered[number][0], len(numbered), places)
    with contextlib.closing(read_chunks(batches, 0, 1, mesh)) as chunks:
        for _, mask in numbered:
            yield next(chunks), rows, mask


def arrays_spec(is_streamed: bool) -> PartitionSpec:
    """How `arrays` of `Split.take` lie on the devices: streamed ones sharded, others replicated."""
    return PartitionSpec(DATA_AXIS) if is_streamed else PartitionSpec()


def abstract_arrays(split: Split, num_read: int) -> Any:
    """Shapes and types of `arrays` of `Split.take`.

    Args:
      split: of any kind; of a streamed one an example is read.
      num_read: of a streamed split, how many examples lie on the devices.
    """
    if not split.is_streamed:
        return jax.eval_shape(lambda: split.arrays)
    example = split.read(np.zeros(1, np.int32))
    return {
        name: jax.ShapeDtypeStruct((num_read, *array.shape[1:]), array.dtype)
        for name, array in example.items()
    }
