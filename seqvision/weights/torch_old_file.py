"""PyTorch files as versions before 1.6 saved them: pickles one after another, then the numbers.

The pickles are a magic number, the version of the format, facts about the machine, what was saved,
and the keys of its storages. Each storage follows in the order of these keys: the number of its
values, 8 bytes, then the values (`torch.serialization._legacy_save`).
"""

import io
import pickletools
from collections.abc import Iterator
from typing import Any

import numpy as np

from seqvision.weights.refusals import refused
from seqvision.weights.stored_arrays import from_file
from seqvision.weights.torch_file import TorchFile
from seqvision.weights.torch_pickle import BFLOAT16, Object, Storage, Tensor, load

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_MOST_PICKLED = 2**22
"""Bytes that the pickles may take: names and shapes alone."""


class OldTorchFile(TorchFile):
    """See `TorchFile`."""

    def _opened(self) -> Any:
        with self._path.open("rb") as file:
            content = io.BytesIO(file.read(min(_MOST_PICKLED, self._path.stat().st_size)))
        magic, version, machine = (self._next(content) for _ in range(3))
        if magic != _MAGIC or version != _VERSION:
            raise refused(
                self._path, "a pickle that PyTorch did not save", "save model.state_dict() alone"
            )
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise refused(self._path, "not little-endian", "load and save it again")
        saved, keys = self._next(content), self._next(content)
        sizes = {one.key: _bytes_of(one) for one in _storages(saved)}
        self._places: dict[str, tuple[int, int]] = {}
        offset = content.tell()
        for key in keys:
            if key not in sizes:
                raise ValueError("a storage that no tensor has")
            self._places[key] = offset + 8, sizes[key]
            offset += 8 + sizes[key]
        return saved

    def _next(self, content: io.BytesIO) -> Any:
        start = content.tell()
        for opcode, _, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                break
        stop = content.tell()
        content.seek(start)
        return load(self._path, content.read(stop - start))

    def _size(self, key: str) -> int:
        offset, size = self._places[key]
        [count] = from_file(self._path, offset - 8, 8).view("<i8").tolist()
        from_file(self._path, offset + size, 0)  # Raises where the file ends before.
        return size if count >= 0 else -1

    def _bytes(self, key: str) -> bytes:
        return np.asarray(from_file(self._path, *self._places[key])).tobytes()


def _bytes_of(storage: Storage) -> int:
    kind = storage.type_name
    return storage.length * (2 if kind == BFLOAT16 else np.dtype(kind).itemsize)


def _storages(saved: Any) -> Iterator[Storage]:
    """Those of all tensors in it; a hostile file may hold a dict in itself."""
    seen: set[int] = set()
    todo = [saved]
    while todo:
        one = todo.pop()
        if isinstance(one, Tensor):
            yield one.storage
        elif id(one) not in seen and isinstance(one, dict | list | tuple | Object):
            seen.add(id(one))
            inside = one.attributes if isinstance(one, Object) else one
            todo += inside.values() if isinstance(inside, dict) else inside
