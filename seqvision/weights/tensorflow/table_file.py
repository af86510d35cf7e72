"""Table file: sorted keys and their values in blocks, TensorFlow's form of LevelDB's table.

From the end (github.com/google/leveldb, `doc/table_format.md`): a footer of 48 bytes with the place
of the index block, whose values are the places of the data blocks. Behind each block stand a byte
for its compression and its masked CRC-32C. In a block a key is stored without what it has in common
with the one before it; at the restarts, listed at its end, it is whole.
"""

from pathlib import Path

from seqvision.weights.refusals import reading
from seqvision.weights.stored_arrays import from_file
from seqvision.weights.tensorflow import snappy
from seqvision.weights.tensorflow.checksum import crc32c, masked
from seqvision.weights.tensorflow.protobuf_wire import read_varint

_FOOTER, _TRAILER = 48, 5
_MAGIC = bytes.fromhex("57fb808b247547db")
_MOST_SHARED = 64
"""Keys of a block together over its length at most: every 16 keys there is a whole one."""


def is_table(path: Path) -> bool:
    """Whether a file ends as tables do."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - len(_MAGIC)))
        return file.read() == _MAGIC


def read_table(path: Path) -> dict[bytes, bytes]:
    """Keys and values in ascending order.

    Raises:
      UserError: the file is no table, or a damaged one.
    """
    with reading(path):
        length = path.stat().st_size
        if length < _FOOTER:
            raise ValueError(f"{length} bytes, too few for the index of a checkpoint")
        footer = bytes(from_file(path, length - _FOOTER, _FOOTER))
        if not footer.endswith(_MAGIC):
            raise ValueError("its end is not that of the index of a checkpoint")
        (meta, _), at = _handle(footer, 0)
        (start, size), _ = _handle(footer, at)
        _check_place("index", start, size, 0, length - _FOOTER)
        content: dict[bytes, bytes] = {}
        end, last = 0, None
        for _, value in _entries(_block(path, start, size)):
            (at, size), _ = _handle(value, 0)
            # One behind the other, so no byte is read twice.
            _check_place("data", at, size, end, min(start, meta))
            end = at + size + _TRAILER
            for key, found in _entries(_block(path, at, size)):
                if last is not None and key <= last:
                    raise ValueError("its keys are not in order")
                content[key], last = found, key
        return content


def _handle(content: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = read_varint(content, at)
    size, at = read_varint(content, at)
    return (offset, size), at


def _check_place(name: str, offset: int, size: int, start: int, end: int) -> None:
    if not start <= offset <= offset + size + _TRAILER <= end:
        raise ValueError(
            f"a block ({name}) at bytes {offset} to {offset + size}; {start} to {end} are free"
        )


def _block(path: Path, offset: int, size: int) -> bytes:
    stored = from_file(path, offset, size + _TRAILER)
    if int.from_bytes(stored[size + 1 :], "little") != masked(crc32c(stored[: size + 1])):
        raise ValueError(f"the block at byte {offset} does not have the checksum that it names")
    content, kind = bytes(stored[:size]), stored[size]
    if kind == 1:
        return snappy.decompress(content)
    if kind:
        raise ValueError(f"the block at byte {offset} has a compression of unknown kind {kind}")
    return content


def _entries(block: bytes) -> list[tuple[bytes, bytes]]:
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (count + 1)
    if len(block) < 4 or end < 0:
        raise ValueError(f"a block of {len(block)} bytes with {count} restarts")
    places = [int.from_bytes(block[i : i + 4], "little") for i in range(end, len(block) - 4, 4)]
    restarts = set(places)
    if any(place > end for place in places):
        raise ValueError("a restart behind the end of its block")
    found: list[tuple[bytes, bytes]] = []
    key, at, total = b"", 0, 0
    while at < end:
        is_restart = at in restarts
        restarts.discard(at)
        shared, at = read_varint(block, at)
        unshared, at = read_varint(block, at)
        size, at = read_varint(block, at)
        if shared > len(key) or (is_restart and shared) or at + unshared + size > end:
            raise ValueError("a key or value that reaches out of its block")
        key = key[:shared] + block[at : at + unshared]
        total += len(key)
        if total > _MOST_SHARED * len(block):
            raise ValueError("keys that are much longer than their block")
        at += unshared
        found.append((key, block[at : at + size]))
        at += size
    if restarts - {end, 0}:
        raise ValueError("a restart within a key")
    return found
