"""Entries of a checkpoint's index: type, shape and place of each array (`tensor_bundle.proto`)."""

import dataclasses

import numpy as np

from seqvision.weights.stored_arrays import count
from seqvision.weights.tensorflow.protobuf_wire import fields, integer, message

BFLOAT16 = "bfloat16"
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64",
    10: "bool", 14: BFLOAT16, 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_OTHER_TYPES = {
    7: "text", 8: "complex64", 11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16",
    16: "quint16", 18: "complex128", 20: "a resource", 21: "a variant",
}  # fmt: skip

Extent = tuple[int, int]
"""Start and length along an axis; length -1 is all of it."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where an array lies. `slices` are those of a partitioned one, whose parts lie elsewhere."""

    type_number: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    slices: tuple[tuple[Extent, ...], ...]

    @property
    def type_name(self) -> str:
        """`float32`, ...; of types that are not read their name too."""
        other = _OTHER_TYPES.get(self.type_number, f"a type of number {self.type_number}")
        return _TYPES.get(self.type_number, other)

    @property
    def is_read(self) -> bool:
        """False of texts, resources and other things that are no weights."""
        return self.type_number in _TYPES

    @property
    def dtype(self) -> np.dtype:
        """Of the array as it is given: bfloat16 is given as float32."""
        return np.dtype("float32" if self.type_name == BFLOAT16 else self.type_name)

    @property
    def stored_size(self) -> int:
        """Bytes that the array takes in a file, by its shape and type.

        Raises:
          ValueError: no array has its shape.
        """
        return count(self.shape) * (2 if self.type_name == BFLOAT16 else self.dtype.itemsize)


def parse_entry(content: bytes) -> Entry:
    """BundleEntryProto.

    Raises:
      ValueError: it is none.
    """
    numbers = dict.fromkeys((1, 3, 4, 5, 6), 0)
    shape: tuple[int, ...] = ()
    slices = []
    for number, value in fields(content):
        if number in numbers:
            numbers[number] = integer(value)
        elif number == 2:
            shape = _shape(message(value))
        elif number == 7:
            extents = (_extent(message(e)) for n, e in fields(message(value)) if n == 1)
            slices.append(tuple(extents))
    kind, shard, offset, size, checksum = numbers.values()
    return Entry(kind, shape, shard, offset, size, checksum, tuple(slices))


def parse_header(content: bytes) -> tuple[int, bool]:
    """BundleHeaderProto: the number of data files, and whether they are big-endian.

    Raises:
      ValueError: it is none.
    """
    found = {number: value for number, value in fields(content) if number in (1, 2)}
    return integer(found.get(1, 0)), bool(found.get(2, 0))


def slice_key(name: bytes, extents: tuple[Extent, ...]) -> bytes:
    """The key of a part of a partitioned array, in TensorFlow's `ordered_code`."""
    escaped = name.replace(b"\xff", b"\xff\0").replace(b"\0", b"\0\xff")
    axes = bytes([1, len(extents)]) if extents else b"\0"
    numbers = b"".join(_signed(number) for extent in extents for number in extent)
    return b"\0" + escaped + b"\0\1" + axes + numbers


def _shape(content: bytes) -> tuple[int, ...]:
    sizes = []
    for number, value in fields(content):
        if number == 2:
            axis = {n: v for n, v in fields(message(value)) if n == 1}
            sizes.append(integer(axis.get(1, 0)))
    return tuple(sizes)


def _extent(content: bytes) -> Extent:
    found = {number: integer(value) for number, value in fields(content) if number in (1, 2)}
    return found.get(1, 0), found.get(2, -1)


def _signed(number: int) -> bytes:
    """As many leading ones as there are bytes, then a zero, then the number; below 0 inverted."""
    bits = (~number if number < 0 else number).bit_length()
    width = bits // 7 + 1
    value = number & (1 << 8 * width) - 1
    if width == 1:
        return bytes([value ^ 0x80])
    ones = ((1 << width) - 1) << 8 * width - width
    return (value ^ ones).to_bytes(width, "big")
