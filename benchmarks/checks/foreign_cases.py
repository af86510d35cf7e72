"""Foreign and mutated files: what one is, and the mutations that all formats have."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 12
"""Height and width of pictures and frames."""
LINE_HEIGHT = 16
TEXTS = ("ab ba", "a", "bab a", "bb", "ab a b", "ba")


@dataclasses.dataclass(frozen=True)
class Case:
    """A file or a folder, and what it is.

    Attributes:
      kind: the row of the table that it counts in.
      name: of its own.
      use: `picture`, `clip`, `line`, `npz`, `set` or `run`: how it is used, see `foreign_uses`.
      write: writes it into an empty folder, and returns the path to give.
      known: the right answer; None where another library is asked, or any answer is one.
      fields: of the config, beside the path.
    """

    kind: str
    name: str
    use: str
    write: Callable[[Path], Path]
    known: Any = None
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)


def file_case(
    kind: str, use: str, file: str, content: bytes, known: Any = None, **fields: Any
) -> Case:
    """A case of one file."""

    def write(folder: Path) -> Path:
        path = folder / file
        path.write_bytes(content)
        return path

    return Case(kind, f"{kind}: {file}", use, write, known, fields)


def mutations(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Kind and content of mutations of a file; what is appended changes no other byte."""
    array = np.frombuffer(content, np.uint8)
    for count in (1, 1, 1, 4, 32):
        flipped = array.copy()
        places = rng.integers(0, len(array), count)
        flipped[places] ^= (1 << rng.integers(0, 8, count)).astype(np.uint8)
        yield "bits flipped", flipped.tobytes()
    # Headers stand at the beginning.
    flipped = array.copy()
    flipped[rng.integers(0, min(48, len(array)))] = rng.integers(0, 256)
    yield "bits flipped", flipped.tobytes()
    start = int(rng.integers(0, len(array)))
    filled = array.copy()
    filled[start : start + 24] = rng.choice([0, 255])
    yield "bytes overwritten", filled.tobytes()
    for fraction in (0.1, 0.5, 0.9):
        yield "cut short", content[: int(len(content) * fraction)]
    yield "cut short", content[:-1]
    yield "bytes appended", content + bytes(16)
    yield "bytes appended", content + rng.bytes(64)
    yield "bytes before it", b"\xef\xbb\xbf" + content


def mutated(
    use: str, files: Iterable[tuple[str, bytes, Any]], rng: np.random.Generator
) -> Iterator[Case]:
    """The mutations of files of (name, content, what is known of it)."""
    for file, content, _ in files:
        stem, _, suffix = file.rpartition(".")
        for number, (kind, changed) in enumerate(mutations(content, rng)):
            yield file_case(kind, use, f"{stem}-{number}.{suffix}", changed)
        yield file_case("empty", use, f"{stem}-empty.{suffix}", b"")


def swapped(
    use: str, files: Iterable[tuple[str, bytes, Any]], rng: np.random.Generator
) -> Iterator[Case]:
    """Each file under the suffixes of two others."""
    files = list(files)
    suffixes = sorted({file.rpartition(".")[2] for file, _, _ in files})
    for file, content, _ in files:
        stem, _, suffix = file.rpartition(".")
        others = [one for one in suffixes if one != suffix]
        for other in rng.choice(others, 2, replace=False):
            yield file_case("another suffix", use, f"{stem}-{suffix}.{other}", content)


def drawn(text: str) -> np.ndarray:
    """A line (LINE_HEIGHT, n) uint8: letters as bars, light on dark: a low, b high."""
    bars = {"a": slice(8, 14), "b": slice(2, 14), " ": slice(0)}
    line = np.zeros((LINE_HEIGHT, 4 + 8 * len(text)), np.uint8)
    for place, letter in enumerate(text):
        line[bars[letter], 4 + 8 * place : 8 + 8 * place] = 255
    return line
