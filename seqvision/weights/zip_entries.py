"""Entries of zip files whose content is stored as it is, which is how Keras and PyTorch write."""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from seqvision.weights.refusals import reading, refused, shown
from seqvision.weights.stored_arrays import from_file

_LIBRARY_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    OverflowError, IndexError,
)  # fmt: skip
_LOCAL_HEADER = 30
_PIECE = 2**20


class StoredZip:
    """A zip file. Nothing in it is inflated, so none of it is larger than the file."""

    def __init__(self, path: Path) -> None:
        """Reads the directory.

        Raises:
          UserError: the file is damaged.
        """
        self._path = path
        with reading(path, *_LIBRARY_ERRORS):
            self._length = path.stat().st_size
            with zipfile.ZipFile(path) as file:
                self._entries = {info.filename: info for info in file.infolist()}

    @property
    def names(self) -> list[str]:
        """Of the entries, in the order of the directory."""
        return list(self._entries)

    def size(self, name: str) -> int:
        """Bytes of an entry, checked against the length of the file.

        Raises:
          UserError: there is no such entry, or it is compressed or damaged.
        """
        with reading(self._path):
            if name not in self._entries:
                raise ValueError(f"it has no entry {name}")
            info = self._entries[name]
            if info.compress_type != zipfile.ZIP_STORED:
                raise refused(
                    self._path,
                    f"{shown(name)} in it is compressed, which is not how such files are saved",
                    "save it again, or unzip it and `zip -0` it",
                )
            if info.file_size != info.compress_size or info.file_size > self._length:
                raise ValueError(f"{name} with {info.file_size} bytes in a file of {self._length}")
            return info.file_size

    def read(self, name: str) -> bytes:
        """An entry, whose checksum is checked.

        Raises:
          UserError: there is no such entry, or it is compressed or damaged.
        """
        self.size(name)
        with reading(self._path, *_LIBRARY_ERRORS), zipfile.ZipFile(self._path) as file:
            return file.read(self._entries[name])

    def place(self, name: str) -> tuple[int, int]:
        """Where an entry begins in the file, and its bytes; its checksum is checked.

        Raises:
          UserError: there is no such entry, or it is compressed or damaged.
        """
        size, info = self.size(name), self._entries[name]
        with reading(self._path, *_LIBRARY_ERRORS):
            with zipfile.ZipFile(self._path) as file, file.open(info) as entry:
                while entry.read(_PIECE):
                    pass
            header = bytes(from_file(self._path, info.header_offset, _LOCAL_HEADER))
            return info.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", header[26:])), size


class Window(io.RawIOBase):
    """A part of a file as a file of its own, to read."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._at = path.open("rb"), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        wanted = min(len(buffer), max(0, self._size - self._at))
        got = self._file.readinto(memoryview(buffer)[:wanted])
        self._at += got
        return got

    def close(self) -> None:
        self._file.close()
        super().close()
