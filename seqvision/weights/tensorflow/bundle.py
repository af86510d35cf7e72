"""Bundle: a checkpoint of TensorFlow 1 or 2, `PREFIX.index` and `PREFIX.data-*`."""

from pathlib import Path

import numpy as np

from seqvision.weights.refusals import damaged, reading, refused, shown
from seqvision.weights.stored_arrays import StoredArray, StoredArrays, from_bfloat16, from_file
from seqvision.weights.tensorflow.checksum import crc32c, masked
from seqvision.weights.tensorflow.entries import (
    BFLOAT16,
    Entry,
    Extent,
    parse_entry,
    parse_header,
    slice_key,
)
from seqvision.weights.tensorflow.table_file import read_table

_HEADER = b""
_MOST_SHARDS = 100_000  # Their numbers have five digits.


class Bundle:
    """The arrays of a checkpoint.

    Attributes:
      arrays: those of numbers, in the order of the index, which is that of their names.
      skipped: what else there is, by name: its type.
    """

    def __init__(self, prefix: Path) -> None:
        """Reads the index, and compares what it says with the lengths of the data files.

        Args:
          prefix: of the files; it has no ending.

        Raises:
          UserError: they are damaged, incomplete or of a kind that is not read.
        """
        self._prefix = prefix
        self._index = prefix.with_name(f"{prefix.name}.index")
        table = read_table(self._index)
        self._lengths: dict[int, int] = {}
        with reading(self._index):
            self._num_shards = self._checked_header(table)
            entries = {key: parse_entry(value) for key, value in table.items() if key != _HEADER}
            # Keys of parts of partitioned arrays begin with 0.
            names = {key.decode(): key for key in entries if not key.startswith(b"\0")}
            self.skipped = {
                n: entries[k].type_name for n, k in names.items() if not entries[k].is_read
            }
            self.arrays = StoredArrays(
                {
                    name: self._stored(name, entries[key], entries)
                    for name, key in names.items()
                    if name not in self.skipped
                }
            )

    @property
    def size(self) -> int:
        """Bytes of the data files."""
        return sum(self._lengths.values())

    def _checked_header(self, table: dict[bytes, bytes]) -> int:
        if _HEADER not in table:
            raise ValueError("it has no header")
        num_shards, is_big_endian = parse_header(table[_HEADER])
        if is_big_endian:
            raise refused(
                self._index,
                "written on a big-endian machine",
                "restore and save it again with TensorFlow on a little-endian one",
            )
        if not 0 < num_shards < _MOST_SHARDS:
            raise ValueError(f"{num_shards} data files announced")
        return num_shards

    def _stored(self, name: str, entry: Entry, entries: dict[bytes, Entry]) -> StoredArray:
        if not entry.slices:
            self._check(name, entry, entry.shape)
            return StoredArray(entry.shape, entry.dtype, lambda: self._read(name, entry))
        parts = []
        for extents in entry.slices:
            part = entries.get(slice_key(name.encode(), extents))
            if part is None or part.type_number != entry.type_number:
                raise ValueError(f"{name}: a part of it is missing")
            place = _place(name, entry.shape, extents)
            self._check(name, part, tuple(s.stop - s.start for s in place))
            parts.append((place, part))
        if sum(part.size for _, part in parts) != entry.stored_size:
            raise ValueError(f"{name}: its parts are not the whole array")
        return StoredArray(entry.shape, entry.dtype, lambda: self._joined(name, entry, parts))

    def _check(self, name: str, entry: Entry, shape: tuple[int, ...]) -> None:
        if entry.shape != shape or entry.stored_size != entry.size:
            raise ValueError(
                f"{name}: {entry.size} bytes for {entry.type_name} of shape {entry.shape}"
            )
        if not 0 <= entry.shard < self._num_shards:
            raise ValueError(f"{name}: in data file {entry.shard} of {self._num_shards}")
        end = entry.offset + entry.size
        if entry.offset < 0 or end > self._length(entry.shard):
            shard = self._shard(entry.shard)
            raise damaged(shard, f"{self._length(entry.shard)} bytes, where {name} ends at {end}")

    def _shard(self, number: int) -> Path:
        ending = f"data-{number:05d}-of-{self._num_shards:05d}"
        return self._prefix.with_name(f"{self._prefix.name}.{ending}")

    def _length(self, number: int) -> int:
        if number not in self._lengths:
            path = self._shard(number)
            if not path.is_file():
                raise refused(
                    path, "missing, and the index names it", "copy it beside the .index file"
                )
            self._lengths[number] = path.stat().st_size
        return self._lengths[number]

    def _read(self, name: str, entry: Entry) -> np.ndarray:
        path = self._shard(entry.shard)
        with reading(path):
            content = from_file(path, entry.offset, entry.size)
            if masked(crc32c(content)) != entry.checksum & 0xFFFFFFFF:
                raise ValueError(f"{shown(name)} does not have the checksum that the index names")
            if entry.type_name == BFLOAT16:
                return from_bfloat16(content).reshape(entry.shape)
            if entry.type_name == "bool":
                content = (content != 0).view(np.uint8)
            values = content.view(entry.dtype.newbyteorder("<")).reshape(entry.shape)
            return values.astype(entry.dtype, copy=False)

    def _joined(
        self, name: str, entry: Entry, parts: list[tuple[tuple[slice, ...], Entry]]
    ) -> np.ndarray:
        with reading(self._index):
            result = np.empty(entry.shape, entry.dtype)
            is_filled = np.zeros(entry.shape, bool)
            for place, part in parts:
                result[place] = self._read(name, part)
                is_filled[place] = True
            if not is_filled.all():
                raise ValueError(f"{name}: its parts are not the whole array")
            return result


def _place(name: str, shape: tuple[int, ...], extents: tuple[Extent, ...]) -> tuple[slice, ...]:
    if len(extents) != len(shape):
        raise ValueError(f"{name}: a part with {len(extents)} axes of {len(shape)}")
    place = []
    for size, (start, length) in zip(shape, extents, strict=True):
        stop = size if length == -1 else start + length
        if not 0 <= start <= stop <= size:
            raise ValueError(f"{name}: a part {start} to {stop} of an axis of {size}")
        place.append(slice(start, stop))
    return tuple(place)
