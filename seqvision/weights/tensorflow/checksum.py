"""Checksum CRC-32C (Castagnoli; RFC 3720), of many bytes at once in numpy.

The checksum is linear: that of a text is the exclusive or of those of its words, each followed by
as many zero bits as there are after it. So a long text is laid out in rows of words. All columns
advance row by row together, which two look-ups in tables do, and are added at the end.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Bits reversed: the lowest is the highest power.
_SHORT, _LONG = 2048, 2**18  # Bytes from which on 64 and 4096 columns are quicker.
_MASK_DELTA = 0xA282EAD8


def crc32c(content: bytes | np.ndarray) -> int:
    """The checksum of bytes, or of an array of them (n,) uint8."""
    if len(content) < _SHORT:
        return _short(bytes(content))
    columns = 64 if len(content) < _LONG else 4096
    row = 4 * columns
    # Zeros before a text change nothing. Its first four bytes are inverted, by definition.
    missing = -len(content) % row
    head = np.zeros(2 * row, np.uint8)
    head[missing:] = np.frombuffer(content, np.uint8, 2 * row - missing)
    head[missing : missing + 4] ^= 0xFF
    tail = np.frombuffer(content, "<u4", offset=2 * row - missing).reshape(-1, columns)
    low, high = _row_tables(columns)
    state: np.ndarray = np.zeros(columns, np.uint32)
    for words in (*head.view("<u4").reshape(2, columns), *tail):
        state = low.take(state & 0xFFFF) ^ high.take(state >> 16) ^ words
    while columns > 1:
        columns //= 2
        state = _apply(_zeros_after(columns), state[:columns]) ^ state[columns:]
    return int(_apply(_zeros_after(1), state)[0]) ^ 0xFFFFFFFF


def _short(content: bytes) -> int:
    table, state = _byte_table(), 0xFFFFFFFF
    for byte in content:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """A checksum as checkpoints store it: rotated and shifted, since they hold checksums too."""
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF


@functools.cache
def _byte_table() -> list[int]:
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.uint32(_POLYNOMIAL) * (table & 1)
    return table.tolist()


def _apply(operator: np.ndarray, states: np.ndarray) -> np.ndarray:
    """A linear map, given by its values for single bits (32,), of states (n,)."""
    result = np.zeros_like(states)
    for bit, value in enumerate(operator):
        result ^= value * ((states >> bit) & 1)
    return result


@functools.cache
def _zeros_after(words: int) -> np.ndarray:
    """What this many words of zeros, a power of two, make of each bit of a state."""
    if words > 1:
        half = _zeros_after(words // 2)
        return _apply(half, half)
    bits: np.ndarray = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for _ in range(32):
        bits = (bits >> 1) ^ np.uint32(_POLYNOMIAL) * (bits & 1)
    return bits


@functools.cache
def _row_tables(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """What a row of zeros makes of the lower and of the higher 16 bits of a state."""
    tables = []
    for values in np.split(_zeros_after(columns), 2):
        table = np.zeros(1, np.uint32)
        for value in values:
            table = np.concatenate([table, table ^ value])
        tables.append(table)
    return tables[0], tables[1]
