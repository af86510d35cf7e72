"""CRC-32C against the vectors of RFC 3720, B.4, and against one computed bit by bit."""

import numpy as np
import pytest

from seqvision.weights.tensorflow.checksum import crc32c, masked
from tests.weights import bundle_writer

READ_COMMAND = bytes.fromhex(
    "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018"
    "28000000 00000000 02000000 00000000"
)


@pytest.mark.parametrize("compute", [crc32c, bundle_writer.crc32c])
@pytest.mark.parametrize(
    ("content", "checksum"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (READ_COMMAND, 0xD9963A56),
    ],
)
def test_published_vectors(compute, content: bytes, checksum: int) -> None:
    assert compute(content) == checksum


@pytest.mark.parametrize("length", [0, 1, 3, 4, 2047, 2048, 2049, 2051, 2303, 2304, 2**18 + 1])
def test_long_texts(length: int, rng: np.random.Generator) -> None:
    content = rng.integers(0, 256, length, np.uint8)
    assert crc32c(content) == bundle_writer.crc32c(content.tobytes()) == crc32c(content.tobytes())


def test_every_bit_counts(rng: np.random.Generator) -> None:
    content = rng.integers(0, 256, 20_000, np.uint8)
    whole = crc32c(content)
    for place in rng.integers(0, len(content) * 8, 50):
        content[place // 8] ^= 1 << place % 8
        assert crc32c(content) != whole
        content[place // 8] ^= 1 << place % 8
    assert crc32c(content) == whole


def test_masking_is_that_of_leveldb() -> None:
    """`crc32c_test.cc` there: masking changes a checksum, and twice is not once."""
    checksum = crc32c(b"foo")
    assert checksum != masked(checksum) != masked(masked(checksum)) != checksum
    # (c >> 15 | c << 17) + 0xa282ead8, by hand, of the checksum 0x00008000.
    assert masked(0x8000) == 0xA282EAD9
