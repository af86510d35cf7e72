"""The IDX format of the MNIST family: a header of big-endian sizes, then bytes; often gzipped."""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from seqvision.data.files.opening import MOST_BYTES
from seqvision.runtime.regular_file import open_regular

# Two zeros, then the type: unsigned bytes.
_IDX_START = bytes([0, 0, 0x08])


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, gzipped or not.

    Returns:
      A uint8 array of the shape that the header states.

    Raises:
      ValueError: the file is no whole IDX file of bytes; the message names the file.
    """
    try:
        with _opened(path) as file:
            start = file.read(4)
            if len(start) < 4 or start[:3] != _IDX_START:
                raise ValueError(f"{path}: not an IDX file of bytes (it starts {start.hex()})")
            sizes = file.read(4 * start[3])
            if len(sizes) < 4 * start[3]:
                raise ValueError(f"{path}: the IDX header is cut short ({4 + len(sizes)} bytes)")
            shape = struct.unpack(f">{start[3]}I", sizes)
            count = math.prod(shape)
            if count > MOST_BYTES:
                raise ValueError(f"{path}: {count:,} bytes by its header {shape}, too large")
            content = file.read(count + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from None
    if len(content) != count:
        found = f"{len(content)} bytes" if len(content) < count else "more bytes"
        raise ValueError(f"{path}: {found} of data where the header {shape} asks for {count}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _opened(path: Path) -> io.BufferedIOBase:
    with open_regular(path) as file:
        is_plain = file.read(3) == _IDX_START
    return open_regular(path) if is_plain else gzip.GzipFile(path)
