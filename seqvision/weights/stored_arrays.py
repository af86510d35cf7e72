"""Stored arrays: names, shapes and types at once, values when they are asked for."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

MOST_AXES = 32


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file: `read` gives it, checked, or raises a UserError."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


class StoredArrays:
    """Arrays by name, in the order of the file. Each is read anew each time it is asked for."""

    def __init__(self, stored: Mapping[str, StoredArray]) -> None:
        self._stored = dict(stored)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._stored[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def under(self, names: Mapping[str, str]) -> "StoredArrays":
        """The arrays under other names: `names` has what each is called here by its new name."""
        return StoredArrays({new: self._stored[name] for new, name in names.items()})

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names and arrays, of which one is in memory at a time."""
        return ((name, self[name]) for name in self)

    def shape(self, name: str) -> tuple[int, ...]:
        """That of an array, without reading it."""
        return self._stored[name].shape

    def dtype(self, name: str) -> np.dtype:
        """That of an array as it is given, without reading it."""
        return self._stored[name].dtype


def in_memory(array: np.ndarray) -> StoredArray:
    """An array that was read already."""
    return StoredArray(array.shape, array.dtype, array.copy)


def from_file(path: Path, offset: int, size: int) -> np.ndarray:
    """Bytes (size,) of a file as uint8.

    Raises:
      ValueError: the file ends before; nothing is allocated then.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        if offset < 0 or size < 0 or offset + size > length:
            raise ValueError(f"bytes {offset} to {offset + size} of a file of {length} bytes")
        file.seek(offset)
        content = np.empty(size, np.uint8)
        if file.readinto(content.data) != size:
            raise ValueError("it became shorter while it was read")
    return content


def from_bfloat16(content: np.ndarray) -> np.ndarray:
    """Bytes (2 n,) of bfloat16, little-endian, as float32 (n,): the same values."""
    return (content.view("<u2").astype(np.uint32) << 16).view(np.float32)


def count(shape: tuple[int, ...]) -> int:
    """How many values a shape has.

    Raises:
      ValueError: numpy has no such shape.
    """
    if len(shape) > MOST_AXES or any(not 0 <= size < 2**62 for size in shape):
        raise ValueError(f"an array of shape {shape}")
    return math.prod(shape)
