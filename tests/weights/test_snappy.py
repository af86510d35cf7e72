"""Snappy against streams made by hand from the description of its format."""

import pytest

from seqvision.weights.tensorflow.snappy import decompress
from tests.weights.bundle_writer import varint


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (b"\0", b""),
        (b"\3" + bytes([2 << 2]) + b"abc", b"abc"),
        # A literal of 100 bytes: its length less 1 in one byte; of 300, in two.
        (varint(100) + bytes([60 << 2, 99]) + b"x" * 100, b"x" * 100),
        (varint(300) + bytes([61 << 2, 0x2B, 0x01]) + b"x" * 300, b"x" * 300),
        # Copies with offsets of 11 bits (lengths 4 to 11), of 16 and of 32.
        (varint(8) + bytes([3 << 2]) + b"abcd" + bytes([0b000_000_01, 4]), b"abcdabcd"),
        (varint(7) + bytes([3 << 2]) + b"abcd" + bytes([2 << 2 | 2, 3, 0]), b"abcdbcd"),
        (varint(5) + bytes([3 << 2]) + b"abcd" + bytes([0 << 2 | 3, 4, 0, 0, 0]), b"abcda"),
        # A copy that reaches into itself repeats.
        (varint(9) + bytes([1 << 2]) + b"ab" + bytes([0b000_011_01, 2]), b"ababababa"),
        # The upper three bits of an offset of 11 are in the tag.
        (
            varint(304) + bytes([61 << 2, 0x2B, 0x01]) + bytes(i % 251 for i in range(300))
            + bytes([0b001_000_01, 300 - 256]),
            bytes(i % 251 for i in range(300)) + bytes(range(4)),
        ),
    ],
)  # fmt: skip
def test_streams(stream: bytes, text: bytes) -> None:
    assert decompress(stream) == text


@pytest.mark.parametrize(
    ("stream", "problem"),
    [
        (b"", "the end within a number"),
        (b"\x80" * 11, "64 bits"),
        (varint(2**40), "1099511627776 bytes announced by a block of 6"),
        (b"\3" + bytes([5 << 2]) + b"abc", "within a literal"),
        (b"\3" + bytes([61 << 2, 0]), "within a number"),
        (b"\4" + bytes([0b000_000_01, 1]), "1 bytes back at 0"),
        (b"\7" + bytes([2 << 2]) + b"abc" + bytes([0b000_000_01, 0]), "0 bytes back at 3"),
        (b"\2" + bytes([2 << 2]) + b"abc", "more than the 2"),
        (b"\4" + bytes([2 << 2]) + b"abc", "3 bytes of 4"),
    ],
)
def test_damaged_streams(stream: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decompress(stream)
