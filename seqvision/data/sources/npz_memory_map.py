"""Arrays of a `.npz` file as they lie on the disk: mapped, or read straight to their places."""

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqvision.data.files.paths import shown
from seqvision.errors import UserError
from seqvision.runtime.transfer import shareable_memory

_LOCAL_HEADER = struct.Struct("<26xHH")  # Length of the name, of the extra field.
_SIGNATURE = b"PK\x03\x04"
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Numbers that are looked at together.
_SCANNED = 2**22


class Member(NamedTuple):
    """An array as its file describes it.

    Attributes:
      shape, dtype: of the array.
      in_fortran_order: its first axis runs fastest.
      header_size: bytes of the member before its values.
      info: its entry in the zip's directory.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    in_fortran_order: bool
    header_size: int
    info: zipfile.ZipInfo

    @property
    def num_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def find_member(archive: zipfile.ZipFile, key: str) -> Member | None:
    """Describes an array without reading it; None where there is none, or it is of a new kind."""
    try:
        info = archive.getinfo(f"{key}.npy")
    except KeyError:
        return None
    with archive.open(info) as file:
        read_header = _READ_HEADER.get(np.lib.format.read_magic(file))
        if read_header is None:
            return None
        shape, in_fortran_order, dtype = read_header(file)
        return Member(shape, dtype, in_fortran_order, file.tell(), info)


def map_member(path: Path, key: str, member: Member, or_raise: str) -> np.ndarray:
    """The array, of which only the parts that are accessed come into memory.

    `or_raise` is the field that holds the limit, for errors; "" where there is none.

    Raises:
      UserError: it is compressed.
      ValueError: the file is damaged.
      OSError: it cannot be read.
    """
    if member.info.compress_type != zipfile.ZIP_STORED:
        raise UserError(
            f"{shown(path)}: '{key}' is compressed and too large for memory"
            f" ({member.num_bytes:,} bytes), and what is compressed cannot be read piece by piece;"
            " save it with np.savez, not np.savez_compressed"
            f"{f', or raise {or_raise}' if or_raise else ''}"
        )
    with path.open("rb") as file:
        start = _start_of_values(file, key, member)
    mapped = np.memmap(
        path,
        member.dtype,
        "r",
        start,
        member.shape,
        "F" if member.in_fortran_order else "C",
    )
    return mapped.view(np.ndarray)  # Views of a memmap are slow to make.


def read_member(file: io.BufferedReader, archive: zipfile.ZipFile, key: str) -> np.ndarray:
    """Reads an array that `np.savez` wrote straight to its place, see `runtime.transfer.shareable`.

    The zip's checksum is not looked at: the caller compares what it knows of the values.

    Args:
      file: that of the archive.
      archive: the file as a zip.
      key: of the array.

    Raises:
      ValueError: there is no such array, or the file is damaged.
    """
    member = find_member(archive, key)
    is_compressed = member is not None and member.info.compress_type != zipfile.ZIP_STORED
    if member is None or member.in_fortran_order or is_compressed:
        raise ValueError(f"no '{key}' as np.savez writes it")
    array = shareable_memory(member.shape, member.dtype)
    file.seek(_start_of_values(file, key, member))
    if file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
        raise ValueError(f"'{key}' is cut short")
    array.flags.writeable = False
    return array


def _start_of_values(file: io.BufferedReader, key: str, member: Member) -> int:
    file.seek(member.info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if not header.startswith(_SIGNATURE) or len(header) < _LOCAL_HEADER.size:
        raise ValueError(f"no member where '{key}' should begin")
    before_values = sum(_LOCAL_HEADER.unpack(header)) + member.header_size
    return member.info.header_offset + len(header) + before_values


def extremes(array: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest finite number of what may be a memory map, part by part.

    The first is larger than the second where there is none.
    """
    low, high = math.inf, -math.inf
    examples = np.atleast_1d(array) if array.dtype.kind in "biuf" else array[:0]
    step = max(_SCANNED * len(examples) // max(examples.size, 1), 1)
    for start in range(0, len(examples), step):
        part = examples[start : start + step]
        finite = part[np.isfinite(part)] if part.dtype.kind == "f" else part
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high
