"""Protocol-buffer messages as they are on the wire (protobuf.dev/programming-guides/encoding)."""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    """The number (of 64 bits, unsigned) at a position, and the position after it.

    Raises:
      ValueError: there is none.
    """
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("the end within a number")
        byte = content[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >> 64:
                break
            return result, at
    raise ValueError("a number of more than 64 bits")


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a message, in its order: integers, or bytes.

    Raises:
      ValueError: it is no message.
    """
    at = 0
    while at < len(content):
        key, at = read_varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = read_varint(content, at)
            yield number, value
            continue
        if wire not in (_FIXED64, _BYTES, _FIXED32):
            raise ValueError(f"a message with a field of wire type {wire}")
        size, at = read_varint(content, at) if wire == _BYTES else (_WIDTHS[wire], at)
        if at + size > len(content):
            raise ValueError("the end within a field of a message")
        piece = content[at : at + size]
        yield number, piece if wire == _BYTES else int.from_bytes(piece, "little")
        at += size


def integer(value: int | bytes) -> int:
    """The value of a field of type int32 or int64.

    Raises:
      ValueError: it is of another type.
    """
    if isinstance(value, bytes):
        raise ValueError("a message where a number is expected")
    return value - 2**64 if value >> 63 else value


def message(value: int | bytes) -> bytes:
    """The value of a field that is a message or text.

    Raises:
      ValueError: it is of another type.
    """
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")
    return value
