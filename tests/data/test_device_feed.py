"""Batches of streamed examples on the devices: the same order as in memory, in shards."""

import threading
import time

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from seqvision.data import device_feed
from seqvision.data.batching import example_indices
from seqvision.data.dataset import ArraySplit, Split, StreamedSplit
from seqvision.data.prefetch import Batches
from seqvision.runtime.mesh import DATA_AXIS, create_mesh
from seqvision.training import streamed


class Numbers:
    """A source whose examples are their own numbers."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.read_numbers: list[int] = []

    def __len__(self) -> int:
        return self._count

    def read(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        self.read_numbers.extend(numbers.tolist())
        inputs = np.broadcast_to(numbers[:, None, None, None] % 256, (len(numbers), 2, 2, 1))
        return {"inputs": inputs.astype(np.uint8), "labels": numbers.astype(np.int32)}


def numbers_split(count: int = 50) -> StreamedSplit:
    return StreamedSplit(Numbers(count), range(count), (2, 2, 1))


def test_two_processes_read_their_shards_of_the_one_order() -> None:
    """Of each batch the one reads the first half, the other the second: all of it, once."""
    seed, size = 3, 8
    found = []
    for share in (0, 1):
        split = numbers_split()
        places = device_feed.own_places(size, num_shards=2, shards=[share])

        def order(step: int) -> np.ndarray:
            return example_indices(seed, 50, step * size, size)

        batches = Batches(split, order, 13, places)
        found.append([batches[step]["labels"] for step in range(13)])
        assert isinstance(split.source, Numbers)
        assert len(split.source.read_numbers) == 13 * size // 2
    together = np.concatenate([np.stack(share) for share in found], axis=1)
    np.testing.assert_array_equal(together.reshape(-1), example_indices(seed, 50, 0, 13 * size))


def test_a_process_of_many_devices_has_the_places_of_each() -> None:
    np.testing.assert_array_equal(device_feed.own_places(8, 4, [0, 2]), [0, 1, 4, 5])
    np.testing.assert_array_equal(device_feed.own_places(8, 1, [0]), np.arange(8))


@pytest.mark.parametrize("start", [0, 2, 6])
def test_chunks_lie_on_the_devices_in_order_from_any_step(start: int) -> None:
    mesh, split, size = create_mesh(), numbers_split(), 4
    batches = Batches(
        split,
        lambda step: example_indices(0, 50, step * size, size),
        7,
        np.arange(4, dtype=np.int32),
    )
    chunks = device_feed.read_chunks(batches, start, 3, mesh)
    order = example_indices(0, 50, 0, 7 * size).reshape(7, size)
    found = []
    for chunk in chunks:
        assert chunk["labels"].shape == (3 * size,) and chunk["inputs"].shape == (12, 2, 2, 1)
        # Each device counts its own rows.
        own = [np.asarray(shard.data) for shard in chunk["labels"].addressable_shards]
        table = np.asarray(device_feed.put_rows(3, size, 1, mesh))
        halves = [array[part] for array, part in zip(own, np.split(table, 2, axis=1), strict=True)]
        found.append(np.concatenate([array.reshape(3, 2) for array in own], axis=1))
        np.testing.assert_array_equal(np.concatenate(halves, axis=1)[:2], found[-1][1:])
    together = np.concatenate(found)
    np.testing.assert_array_equal(together[: 7 - start], order[start:])
    assert not together[7 - start :].any()


def test_an_evaluation_takes_each_example_once_streamed_or_not() -> None:
    """What a step takes on the devices, by the rows or numbers that it is given."""
    mesh, numbers = create_mesh(), np.arange(21, dtype=np.int32)
    streaming = numbers_split(21)
    resident = ArraySplit(**streaming.read(numbers))

    def labels(split: Split) -> list[np.ndarray]:
        take = jax.shard_map(
            split.take,
            mesh=mesh,
            in_specs=(device_feed.arrays_spec(split.is_streamed), PartitionSpec(DATA_AXIS)),
            out_specs=PartitionSpec(DATA_AXIS),
        )
        return [
            np.where(mask, np.asarray(take(arrays, indices)["labels"]), -1)
            for arrays, indices, mask in device_feed.evaluation_batches(split, 7, mesh)
        ]

    found = labels(resident)
    np.testing.assert_array_equal(found, labels(streaming))
    np.testing.assert_array_equal(np.concatenate(found), [*numbers, *[-1] * 3])


def test_the_threads_of_an_evaluation_end_with_it() -> None:
    before = threading.active_count()
    batches = device_feed.evaluation_batches(numbers_split(21), 4, create_mesh())
    next(batches)
    assert threading.active_count() > before
    batches.close()
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_chunk_is_of_moderate_size() -> None:
    assert streamed.chunk_size(numbers_split(), batch_size=64, total_steps=12) == 12
    large = StreamedSplit(Numbers(1000), range(1000), (1000, 1000, 3))
    assert streamed.chunk_size(large, batch_size=64, total_steps=12) == 1
