"""Mistakes of a reader: which symbols are confused, and how errors grow with the length."""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein


class TextMistake(NamedTuple):
    """A kind of mistake and how often it is; `written` or `read` is "" where there is none."""

    written: str
    read: str
    number: int


class ReadLine(NamedTuple):
    """A line of the split.

    Attributes:
      text: as it was read.
      truth: as it is written.
      confidences: float32 (symbols of `text`,).
    """

    text: str
    truth: str
    confidences: np.ndarray

    @property
    def edits(self) -> int:
        return Levenshtein.distance(self.text, self.truth)


def mistakes(lines: Iterable[ReadLine]) -> list[TextMistake]:
    """All kinds of mistakes, the most frequent first; of equals by their symbols."""
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in lines:
        for edit in Levenshtein.editops(line.text, line.truth):
            read = "" if edit.tag == "insert" else line.text[edit.src_pos]
            written = "" if edit.tag == "delete" else line.truth[edit.dest_pos]
            counts[written, read] += 1
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [TextMistake(*kind, count) for kind, count in order]


def mistake_words(mistake: TextMistake) -> str:
    """A kind of mistake as a phrase."""
    written, read, number = mistake
    times = "once" if number == 1 else f"{number:,} times"
    if not read:
        return f"{named(written)} was missed {times}."
    if not written:
        return f"{named(read)} was read {times} where nothing is written."
    return f"{named(written)} was read as {named(read)} {times}."


def named(symbol: str) -> str:
    """A symbol in a sentence."""
    return "a space" if symbol == " " else f"'{symbol}'"


def symbol_marks(lines: Sequence[ReadLine]) -> tuple[np.ndarray, np.ndarray]:
    """How sure each symbol that was read was, (N,), and whether it is right, (N,)."""
    sure, right = [], []
    for line in lines:
        marks = np.zeros(len(line.text), bool)
        for block in Levenshtein.opcodes(line.text, line.truth):
            if block.tag == "equal":
                marks[block.src_start : block.src_end] = True
        sure.append(line.confidences)
        right.append(marks)
    return np.concatenate(sure), np.concatenate(right)


def errors_by_length(lines: Iterable[ReadLine]) -> dict[int, tuple[float, int]]:
    """For each number of symbols written: the character error rate, and the number of lines."""
    sums: dict[int, list[int]] = {}
    for line in lines:
        sums.setdefault(len(line.truth), []).append(line.edits)
    return {
        length: (sum(edits) / (max(1, length) * len(edits)), len(edits))
        for length, edits in sorted(sums.items())
    }
