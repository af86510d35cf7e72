"""Checkpoints as TensorFlow's formats are described, to read what no TensorFlow would write."""

import dataclasses
import itertools
import operator
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MAGIC = 0xDB4775248B80FB57
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bool": 10, "float16": 19}


def crc32c(content: bytes) -> int:
    """Byte by byte, by a table made bit by bit (RFC 3720, section 12.1)."""
    state = 0xFFFFFFFF
    for byte in content:
        state = TABLE[(state ^ byte) & 255] ^ state >> 8
    return state ^ 0xFFFFFFFF


def remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


TABLE = [remainder(byte) for byte in range(256)]


def masked(content: bytes) -> bytes:
    checksum = crc32c(content)
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return ((rotated + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    content = b""
    while number >= 128:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def header(num_shards: int = 1, endianness: int = 0) -> bytes:
    return field(1, num_shards) + field(2, endianness) + field(3, field(1, 1))


def entry(
    kind: int, shape: Sequence[int], offset: int, content: bytes | int, shard: int = 0
) -> bytes:
    """BundleEntryProto. `content` may be a size alone; its checksum is then wrong."""
    axes = b"".join(field(2, field(1, size)) for size in shape)
    size = content if isinstance(content, int) else len(content)
    checksum = b"\0\0\0\0" if isinstance(content, int) else masked(content)
    place = field(3, shard) + field(4, offset) + field(5, size)
    return field(1, kind) + field(2, axes) + place + varint(6 << 3 | 5) + checksum


def block(items: Sequence[tuple[bytes, bytes]], every: int = 16) -> bytes:
    """A block of a table, with a restart every so many keys."""
    content, restarts, last = b"", [], b""
    for number, (key, value) in enumerate(items):
        shared = 0
        if number % every == 0:
            restarts.append(len(content))
        else:
            equal = map(operator.eq, key, last)
            shared = sum(1 for _ in itertools.takewhile(bool, equal))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content += key[shared:] + value
        last = key
    return ended(content, restarts or [0])


def ended(content: bytes, restarts: Sequence[int]) -> bytes:
    numbers = [*restarts, len(restarts)]
    return content + b"".join(number.to_bytes(4, "little") for number in numbers)


@dataclasses.dataclass
class Table:
    """A table that is written block by block."""

    content: bytes = b""

    def add(self, stored: bytes, kind: int = 0) -> bytes:
        """Adds a block, and returns its handle."""
        handle = varint(len(self.content)) + varint(len(stored))
        self.content += stored + bytes([kind]) + masked(stored + bytes([kind]))
        return handle

    def finished(self, index: Sequence[tuple[bytes, bytes]]) -> bytes:
        """The whole file, with an index of the last keys of the blocks and their handles."""
        handles = self.add(block([])) + self.add(block(index, every=1))
        return self.content + handles.ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


def table(items: dict[bytes, bytes], per_block: int = 1000) -> bytes:
    """A whole table."""
    pairs, result, index = sorted(items.items()), Table(), []
    for start in range(0, len(pairs), per_block):
        part = pairs[start : start + per_block]
        index.append((part[-1][0], result.add(block(part))))
    return result.finished(index)


def write_bundle(prefix: Path, arrays: dict[str, np.ndarray], per_block: int = 1000) -> None:
    """A checkpoint in one data file."""
    items, data = {b"": header()}, b""
    for name, array in sorted(arrays.items()):
        content = array.tobytes()
        items[name.encode()] = entry(TYPES[array.dtype.name], array.shape, len(data), content)
        data += content
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(items, per_block))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
