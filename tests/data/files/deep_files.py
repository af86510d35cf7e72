"""Deep pictures and videos, written byte by byte to their standards."""

import struct
import zlib
from pathlib import Path

import av
import numpy as np

VALUES = np.array([[0, 1000, 2000, 3000], [4000, 40, 7, 4095]], np.uint16)


# By hand: 255 v / 4095, rounded.
READ = [[0, 62, 125, 187], [249, 2, 0, 255]]


def png16(path: Path, pixels: np.ndarray, filtered: bool = False, hidden: bytes = b"") -> Path:
    """A PNG of 16 bits (PNG, second edition): of (height, width, 1 to 4), with the filter Up."""
    height, width, channels = pixels.shape
    rows = np.frombuffer(pixels.astype(">u2").tobytes(), np.uint8).reshape(height, -1)
    if filtered:
        rows = np.concatenate([rows[:1], rows[1:] - rows[:-1]])
    kind = bytes([2 if filtered else 0])
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [
        (b"IHDR", struct.pack(">2I5B", width, height, 16, colour, 0, 0, 0)),
        *[(b"tRNS", hidden)] * bool(hidden),
        (b"IDAT", zlib.compress(b"".join(kind + row.tobytes() for row in rows))),
        (b"IEND", b""),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
    )
    return path


def with_channels(channels: int) -> np.ndarray:
    opaque = np.full_like(VALUES, 65535)
    grey = [VALUES] * (1 if channels < 3 else 3)
    return np.stack([*grey, *[opaque] * (channels % 2 == 0)], axis=-1)


def tiff(
    path: Path,
    values: np.ndarray,
    order: str,
    compression: str = "raw",
    photometric: int = 1,
    extra: int = 0,
) -> Path:
    """A TIFF of one strip (TIFF 6.0): (height, width[, channels]) of any type of numbers."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
    if compression == "deflate":
        pixels = zlib.compress(pixels)
    height, width, *rest = values.shape
    samples, bits = (rest or [1])[0], values.dtype.itemsize * 8
    tags = [
        (256, 3, [width]), (257, 3, [height]), (258, 3, [bits] * samples),
        (259, 3, [8 if compression == "deflate" else 1]), (262, 3, [2 if rest else photometric]),
        (273, 4, [8]), (277, 3, [samples]), (278, 3, [height]), (279, 4, [len(pixels)]),
        *[(338, 3, [extra])] * bool(extra), (339, 3, [kind] * samples),
    ]  # fmt: skip
    where, fields, behind = 8 + len(pixels), b"", b""
    for tag, form, numbers in tags:
        data = struct.pack(f"{order}{len(numbers)}{'HI'[form - 3]}", *numbers)
        if len(data) > 4:
            at = where + 2 + 12 * len(tags) + 4 + len(behind)
            behind, data = behind + data, struct.pack(f"{order}I", at)
        fields += struct.pack(f"{order}HHI", tag, form, len(numbers)) + data.ljust(4, b"\0")
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, where)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        start + pixels + struct.pack(f"{order}H", len(tags)) + fields + bytes(4) + behind
    )
    return path


def video(path: Path, frames: np.ndarray, source: str, pix_fmt: str, codec: str = "ffv1") -> Path:
    """A video of frames (T, height, width[, channels]) in the format `source`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=source)))
        container.mux(stream.encode())
    return path


def big(values: np.ndarray) -> np.ndarray:
    """Two frames of 32 x 48, whose corner has these values."""
    frames = np.zeros((2, 32, 48, *values.shape[2:]), values.dtype)
    frames[:, :2, :4] = values
    return frames


def stack_of_colours(path: Path, pages: list[np.ndarray]) -> Path:
    """Pages of the form of `tiff`, one behind the other."""
    content, last = b"", 0
    for page in pages:
        one = tiff(path, page, "<").read_bytes()
        where = struct.unpack_from("<I", one, 4)[0]
        count = struct.unpack_from("<H", one, where)[0]
        shift, changed = len(content), bytearray(one)
        for at in range(where + 2, where + 2 + 12 * count, 12):
            tag, form, number, value = struct.unpack_from("<HHII", one, at)
            if tag == 273 or number * {3: 2, 4: 4}[form] > 4:
                struct.pack_into("<I", changed, at + 8, value + shift)
        if content:
            whole = bytearray(content)
            struct.pack_into("<I", whole, last, where + shift)
            content = bytes(whole)
        last = shift + where + 2 + 12 * count
        content += bytes(changed)
    path.write_bytes(content)
    return path
