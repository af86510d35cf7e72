"""The file of decoded arrays: what is written is read, and no damage goes unseen."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from seqvision.data.dataset import Dataset
from seqvision.data.sources.decoded_cache import DamagedCacheError, read_cache, write_cache
from tests.conftest import smaller


def few_of(dataset: Dataset, train: int, test: int) -> Dataset:
    """Its first examples, with fingerprints of their own."""
    few = smaller(dataset, train, test)
    fingerprints = {name: split.fingerprint() for name, split in few.splits.items()}
    return dataclasses.replace(few, fingerprints=fingerprints)


def test_cache_round_trip_and_damage(mnist: Dataset, tmp_path: Path) -> None:
    few = few_of(mnist, 50, 20)
    path = tmp_path / "few.npz"
    write_cache(path, few)
    again = read_cache(path)
    np.testing.assert_array_equal(again.splits["train"].inputs, few.splits["train"].inputs)
    np.testing.assert_array_equal(again.splits["test"].labels, few.splits["test"].labels)
    assert again.class_names == few.class_names
    assert list(tmp_path.iterdir()) == [path]
    for split in again.splits.values():
        for array in split.arrays.values():
            assert array.ctypes.data % 64 == 0 and not array.flags.writeable
    content = path.read_bytes()
    for damaged in (content[:-200], content[:20_000] + b"\xff" + content[20_001:], b""):
        path.write_bytes(damaged)
        with pytest.raises(DamagedCacheError):
            read_cache(path)


def test_a_cache_of_a_split_without_examples(mnist: Dataset, tmp_path: Path) -> None:
    write_cache(tmp_path / "few.npz", few_of(mnist, 3, 0))
    again = read_cache(tmp_path / "few.npz")
    assert again.splits["test"].arrays["inputs"].shape == (0, 28, 28, 1)


def test_no_flipped_byte_of_a_cache_changes_what_is_read(mnist: Dataset, tmp_path: Path) -> None:
    few, path = few_of(mnist, 3, 2), tmp_path / "few.npz"
    write_cache(path, few)
    content, found = path.read_bytes(), 0
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            again = read_cache(path)
        except DamagedCacheError:
            found += 1
        else:
            for name, split in again.splits.items():
                for kind, array in split.arrays.items():
                    np.testing.assert_array_equal(array, few.splits[name].arrays[kind])
    assert found > 600
