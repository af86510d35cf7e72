"""Damaged and hostile checkpoints: one line each, and no memory for what is not there."""

import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqvision.errors import UserError
from seqvision.weights.source import open_source
from seqvision.weights.tensorflow.entries import slice_key
from tests.weights.bundle_writer import (
    MAGIC,
    Table,
    block,
    ended,
    entry,
    field,
    header,
    table,
    varint,
    write_bundle,
)
from tests.weights.refusing import refusal

ESTIMATOR = Path("tests/data/estimator/row_lstm")
PREFIX = "model.ckpt-1875"
W = np.arange(6, dtype=np.float32)


def written(folder: Path, items: dict[bytes, bytes], data: bytes = W.tobytes()) -> Path:
    """A checkpoint with these entries."""
    (folder / "x.index").write_bytes(table({b"": header()} | items))
    (folder / "x.data-00000-of-00001").write_bytes(data)
    return folder / "x"


def test_our_writer_is_read_in_small_blocks_and_snappy(tmp_path: Path) -> None:
    arrays = {f"layer_{i}": np.float32([i, i + 1]) for i in range(40)}
    write_bundle(tmp_path / "x", arrays, per_block=3)
    found = open_source(tmp_path / "x").arrays
    assert {name: list(found[name]) for name in found} == {n: list(a) for n, a in arrays.items()}
    result = Table()
    plain = block([(b"", header()), (b"w", entry(1, [6], 0, W.tobytes()))])
    literal = varint(len(plain)) + bytes([60 << 2, len(plain) - 1]) + plain
    (tmp_path / "x.index").write_bytes(result.finished([(b"w", result.add(literal, kind=1))]))
    (tmp_path / "x.data-00000-of-00001").write_bytes(W.tobytes())
    np.testing.assert_array_equal(open_source(tmp_path / "x").arrays["w"], W)


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ({b"w": entry(1, [6], 0, 24)}, "w does not have the checksum"),
        ({b"w": entry(1, [2**40], 0, 2**42)}, "24 bytes, where w ends at 4398046511104"),
        ({b"w": entry(1, [2**40], 0, 24)}, "24 bytes for float32"),
        ({b"w": entry(1, [2**62, 2**62, 4], 0, 0)}, "an array of shape"),
        ({b"w": entry(1, [-6], 0, 24)}, "an array of shape (-6,)"),
        ({b"w": entry(1, [1] * 40, 0, 4)}, "an array of shape"),
        ({b"w": entry(1, [6], 2**63 - 8, 24)}, "where w ends at"),
        ({b"w": entry(1, [6], -8, 24)}, "where w ends at 16"),
        ({b"w": entry(1, [6], 0, 24, shard=7)}, "in data file 7 of 1"),
        ({b"w": entry(1, [6], 0, 24)[:-3]}, "the end within a field"),
        ({b"w": field(2, 5)}, "a number where a message"),
        ({b"w": field(1, b"a")}, "a message where a number"),
        ({b"w": varint(3 << 3 | 3)}, "wire type 3"),
        ({b"": header(endianness=1)}, "big-endian"),
        ({b"": header(num_shards=0)}, "0 data files"),
        ({b"": header(num_shards=2**31)}, "2147483648 data files"),
        ({b"": header(num_shards=2), b"w": entry(1, [6], 0, 24, 1)}, "the index names it"),
        ({b"\xc3\x28": entry(1, [6], 0, W.tobytes())}, "not UTF-8"),
        ({b"a\n\x1b[2J": entry(1, [7], 0, 24)}, r"a\n\x1b[2J: 24 bytes"),
    ],
)
def test_entries(items: dict[bytes, bytes], problem: str, tmp_path: Path) -> None:
    assert problem in refusal(written(tmp_path, items))


def sliced(shape: list[int], *parts: tuple[int, int]) -> bytes:
    axes = b"".join(field(2, field(1, size)) for size in shape)
    extents = [field(1, field(1, start) + field(2, length)) for start, length in parts]
    return field(1, 1) + field(2, axes) + b"".join(field(7, extent) for extent in extents)


@pytest.mark.parametrize(
    ("shape", "parts", "problem"),
    [
        ([12], [(0, 6), (6, 6)], ""),
        ([12], [(0, 6), (0, 6)], "not the whole array"),
        ([12], [(0, 6)], "not the whole array"),
        ([12], [(0, 6), (9, 6)], "a part 9 to 15 of an axis of 12"),
        ([12], [(0, 6), (6, 3)], "24 bytes for float32 of shape (6,)"),
        ([12, 1], [(0, 6), (6, 6)], "1 axes of 2"),
        ([2**40], [(0, 6)], "not the whole array"),
    ],
)
def test_parts_of_partitioned_arrays(
    shape: list[int], parts: list[tuple[int, int]], problem: str, tmp_path: Path
) -> None:
    items = {b"w": sliced(shape, *parts)}
    items |= {slice_key(b"w", (part,)): entry(1, [6], 0, W.tobytes()) for part in parts}
    path = written(tmp_path, items)
    if problem:
        assert problem in refusal(path)
    else:
        np.testing.assert_array_equal(open_source(path).arrays["w"], [*W, *W])


def test_a_missing_part(tmp_path: Path) -> None:
    assert "a part of it is missing" in refusal(written(tmp_path, {b"w": sliced([6], (0, 6))}))


def one_block(stored: bytes, kind: int = 0) -> bytes:
    result = Table()
    return result.finished([(b"w", result.add(stored, kind))])


def pointing(*handles: tuple[int, int]) -> bytes:
    """A table with one block, and an index with these places of blocks."""
    result = Table()
    result.add(block([(b"", header())]))
    names = [bytes([97 + number]) for number in range(len(handles))]
    places = [varint(at) + varint(size) for at, size in handles]
    return result.finished(list(zip(names, places, strict=True)))


SIZE = len(block([(b"", header())]))
LONG = b"k" * 100_000
BOMB = varint(100_000) + bytes([0]) + b"k" + bytes([63 << 2 | 2, 1, 0]) * 1562


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "0 bytes, too few"),
        (bytes(100), "its end is not"),
        (bytes(40) + MAGIC.to_bytes(8, "little"), "a block (index) at bytes 0 to 0"),
        (b"\xff" * 40 + MAGIC.to_bytes(8, "little"), "more than 64 bits"),
        (pointing((0, SIZE), (0, SIZE)), "a block (data) at bytes 0"),
        (pointing((0, 2**40)), "a block (data) at bytes 0"),
        (pointing((SIZE + 5, 8)), "a block (data) at bytes"),
        (pointing((SIZE + 5 + 13, 8)), "a block (data) at bytes"),
        (one_block(ended(b"\0\1\0w", [99])), "a restart behind the end"),
        (one_block(ended(b"\0\1\0w", [0, 2])), "a restart within a key"),
        (one_block(ended(b"\5\1\0w", [0])), "reaches out of its block"),
        (one_block(ended(b"\0\x7f\0w", [0])), "reaches out of its block"),
        (one_block(ended(b"\0\1\x7fw", [0])), "reaches out of its block"),
        (one_block(ended(b"\0\1\0w\0\1\0a", [0])), "not in order"),
        (one_block(b"\0\0\0\0\xff\xff\xff\xff"), "4294967295 restarts"),
        (one_block(b""), "a block of 0 bytes"),
        (one_block(block([(b"", header())]), kind=2), "unknown kind 2"),
        (one_block(varint(2**30) + b"\0a", kind=1), "snappy: 1073741824 bytes"),
        (one_block(BOMB, kind=1), "restarts"),
        (table({LONG + bytes([i]): b"" for i in range(50)}, 50), "it has no header"),
        (
            one_block(ended(b"\0" + varint(len(LONG)) + b"\0" + LONG
                            + b"".join(varint(len(LONG) + i) + b"\1\0a" for i in range(20_000)),
                            [0])),
            "keys that are much longer",
        ),
    ],
)  # fmt: skip
def test_tables(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "x.index").write_bytes(content)
    assert problem in refusal(tmp_path / "x.index")


def copied(folder: Path) -> Path:
    return shutil.copytree(ESTIMATOR, folder / "copy")


def cut(folder: Path) -> None:
    data = folder / f"{PREFIX}.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])


def flip(folder: Path) -> None:
    data = folder / f"{PREFIX}.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)


def names_nothing(folder: Path) -> None:
    (folder / "checkpoint").write_text("nothing")


def names_another(folder: Path) -> None:
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"')


def becomes_old(folder: Path) -> None:
    (folder / f"{PREFIX}.index").rename(folder / "model.ckpt-7")
    (folder / "checkpoint").unlink()


def gets_a_second(folder: Path) -> None:
    (folder / "checkpoint").unlink()
    shutil.copy(folder / f"{PREFIX}.index", folder / "model.ckpt-7.index")


@pytest.mark.parametrize(
    ("change", "name", "problem"),
    [
        (cut, "", "293511 bytes, where rnn/lstm_cell/kernel/Adam_1 ends at 293512; it is damaged"),
        (flip, "", "rnn/lstm_cell/kernel/Adam_1 does not have the checksum"),
        (names_nothing, "", "no line `model_checkpoint_path`"),
        (names_another, "", f"names model.ckpt-7, which is not there; name one of {PREFIX}"),
        (becomes_old, "model.ckpt-7", "before 0.12"),
        (becomes_old, f"{PREFIX}.data-00000-of-00001", ".index: missing; copy the whole"),
        (becomes_old, "", "a folder without a checkpoint; give"),
        (gets_a_second, "", "2 checkpoints (model.ckpt-1875, model.ckpt-7) and no file"),
    ],
)  # fmt: skip
def test_model_directories(
    change: Callable[[Path], None], name: str, problem: str, tmp_path: Path
) -> None:
    folder = copied(tmp_path)
    change(folder)
    assert problem in refusal(folder / name)


def test_only_the_arrays_that_are_asked_for_are_read(tmp_path: Path) -> None:
    large = np.zeros(2_000_000, np.float32)
    data = W.tobytes() + large.tobytes()
    items = {b"w": entry(1, [6], 0, W.tobytes()), b"z": entry(1, large.shape, 24, large.nbytes)}
    path = written(tmp_path, items, data)
    tracemalloc.start()
    np.testing.assert_array_equal(open_source(path).arrays["w"], W)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_100_mutations_are_read_right_or_refused(tmp_path: Path) -> None:
    """Byte flips and truncations of both files: what is read is what was written."""
    folder = copied(tmp_path)
    files = [folder / f"{PREFIX}.index", folder / f"{PREFIX}.data-00000-of-00001"]
    clean = open_source(folder).arrays
    expected = {name: clean[name] for name in clean}
    refused = 0
    for seed in range(100):
        rng = random.Random(seed)
        path = files[seed % 2]
        before = path.read_bytes()
        path.write_bytes(mutated(before, rng))
        try:
            found = open_source(folder).arrays
            for name in found:
                np.testing.assert_array_equal(found[name], expected[name])
        except UserError as error:
            assert str(error).startswith(str(folder))
            assert str(error).isprintable()
            refused += 1
        path.write_bytes(before)
    assert refused > 90


def mutated(content: bytes, rng: random.Random) -> bytes:
    """With a few other bytes, or cut off."""
    if rng.random() < 0.2:
        return content[: rng.randrange(len(content))]
    result = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        place = rng.randrange(len(result))
        result[place] = rng.choice((0, 127, 128, 255, result[place] ^ 1 << rng.randrange(8)))
    return bytes(result)
