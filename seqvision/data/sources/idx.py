"""The IDX format of the MNIST family: a header of big-endian sizes, then bytes; often gzipped."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

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
        content = path.read_bytes()
        if content[:3] != _IDX_START:
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from None
    if len(content) < 4 or content[:3] != _IDX_START:
        raise ValueError(f"{path}: not an IDX file of bytes (it starts {content[:4].hex()})")
    num_axes = content[3]
    header = 4 + 4 * num_axes
    if len(content) < header:
        raise ValueError(f"{path}: the IDX header is cut short ({len(content)} bytes)")
    shape = struct.unpack(f">{num_axes}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"{path}: {len(content) - header} bytes of data where the header {shape} asks for"
            f" {math.prod(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
