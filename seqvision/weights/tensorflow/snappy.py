"""Snappy: blocks compressed by it (github.com/google/snappy, `format_description.txt`)."""

from seqvision.weights.tensorflow.protobuf_wire import read_varint

_MOST_GROWTH = 32  # Three bytes stand for 64 at most.


def decompress(content: bytes) -> bytes:
    """The bytes of a block.

    Raises:
      ValueError: the block is damaged. No more is allocated than its length allows.
    """
    length, at = read_varint(content, 0)
    if length > _MOST_GROWTH * len(content):
        raise ValueError(f"snappy: {length} bytes announced by a block of {len(content)}")
    result = bytearray()
    while at < len(content):
        tag = content[at]
        at += 1
        if tag & 3 == 0:
            size, at = _literal_size(content, at, tag)
            if at + size > len(content):
                raise ValueError("snappy: the block ends within a literal")
            result += content[at : at + size]
            at += size
        else:
            size, distance, at = _copy(content, at, tag)
            if not 0 < distance <= len(result):
                raise ValueError(f"snappy: a copy from {distance} bytes back at {len(result)}")
            start = len(result) - distance
            piece = result[start : start + size]  # It repeats where it reaches the end.
            result += (piece * (size // len(piece) + 1))[:size]
        if len(result) > length:
            raise ValueError(f"snappy: more than the {length} bytes announced")
    if len(result) != length:
        raise ValueError(f"snappy: {len(result)} bytes of {length} announced")
    return bytes(result)


def _literal_size(content: bytes, at: int, tag: int) -> tuple[int, int]:
    size = tag >> 2
    if size < 60:
        return size + 1, at
    return _number(content, at, size - 59) + 1, at + size - 59


def _copy(content: bytes, at: int, tag: int) -> tuple[int, int, int]:
    if tag & 3 == 1:
        return 4 + (tag >> 2 & 7), (tag >> 5) << 8 | _number(content, at, 1), at + 1
    width = 2 if tag & 3 == 2 else 4
    return (tag >> 2) + 1, _number(content, at, width), at + width


def _number(content: bytes, at: int, width: int) -> int:
    if at + width > len(content):
        raise ValueError("snappy: the block ends within a number")
    return int.from_bytes(content[at : at + width], "little")
