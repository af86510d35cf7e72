"""Mistakes of a reader: which symbols are confused, and how errors grow with the length."""

import collections
import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class TextMistake(NamedTuple):
    """A kind of mistake and how often it is; `written` or `read` is "" where there is none."""

    written: str
    read: str
    number: int


class Pair(NamedTuple):
    """Two symbols that an alignment puts beside each other, and their places in their texts.

    A symbol without a partner stands beside "" and -1: it was missed, or nothing is written.
    """

    written: str
    read: str
    place_written: int
    place_read: int

    @property
    def is_right(self) -> bool:
        return self.written == self.read


@dataclasses.dataclass(frozen=True)
class ReadLine:
    """A line of the split.

    Attributes:
      text: as it was read.
      truth: as it is written.
      confidences: float32 (symbols of `text`,).
    """

    text: str
    truth: str
    confidences: np.ndarray

    @functools.cached_property
    def pairs(self) -> list[Pair]:
        """See `aligned`; counts, words, calibration and drawings hang on these alone."""
        return aligned(self.text, self.truth)

    @property
    def edits(self) -> int:
        return sum(not pair.is_right for pair in self.pairs)


def aligned(read: str, written: str) -> list[Pair]:
    """Aligns two texts by the fewest edits.

    Of several such alignments it is that with the most substitutions, of those that which finds a
    partner as early as possible.
    """
    if read == written:
        return [Pair(one, one, place, place) for place, one in enumerate(read)]
    # One number counts edits and, far below them, symbols without partner.
    edit = len(read) + len(written) + 1
    alone = edit + 1
    along, symbols = alone * np.arange(len(written) + 1), np.array(list(written), str)
    # Costs of all that follows place i of `read` and place j of `written`, (n + 1, m + 1).
    costs = [along[::-1]]
    for one in reversed(read):
        ways = costs[0] + alone
        ways[:-1] = np.minimum(ways[:-1], costs[0][1:] + edit * (symbols != one))
        costs.insert(0, np.minimum.accumulate((ways + along)[::-1])[::-1] - along)
    pairs: list[Pair] = []
    i = j = 0
    while i < len(read) or j < len(written):
        if i < len(read) and j < len(written):
            differ = int(read[i] != written[j])
            if costs[i][j] == costs[i + 1][j + 1] + edit * differ:
                pairs.append(Pair(written[j], read[i], j, i))
                i, j = i + 1, j + 1
                continue
        if i < len(read) and costs[i][j] == costs[i + 1][j] + alone:
            pairs.append(Pair("", read[i], -1, i))
            i += 1
        else:
            pairs.append(Pair(written[j], "", j, -1))
            j += 1
    return pairs


def mistakes(lines: Iterable[ReadLine]) -> list[TextMistake]:
    """All kinds of mistakes, the most frequent first; of equals by their symbols."""
    counts = collections.Counter(
        (pair.written, pair.read) for line in lines for pair in line.pairs if not pair.is_right
    )
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [TextMistake(*kind, count) for kind, count in order]


def mistake_words(written: str, read: str, how: str) -> str:
    """A mistake as a sentence; `how` is how often, or where."""
    if not read:
        return f"{named(written)} was missed {how}."
    if not written:
        return f"{named(read)} was read {how} where nothing is written."
    return f"{named(written)} was read as {named(read)} {how}."


def times(number: int) -> str:
    """How often."""
    return "once" if number == 1 else f"{number:,} times"


def named(symbol: str) -> str:
    """A symbol in a sentence."""
    return "a space" if symbol == " " else f"'{symbol}'"


def visible(symbol: str) -> str:
    """A symbol that stands alone."""
    return "␣" if symbol == " " else symbol


def symbol_marks(lines: Sequence[ReadLine]) -> tuple[np.ndarray, np.ndarray]:
    """How sure each symbol that was read was, (N,), and whether it is right, (N,)."""
    marks = [pair.is_right for line in lines for pair in line.pairs if pair.read]
    return np.concatenate([line.confidences for line in lines]), np.array(marks, bool)


def errors_by_length(lines: Iterable[ReadLine]) -> dict[int, tuple[float, int]]:
    """For each number of symbols written: the character error rate, and the number of lines."""
    sums: dict[int, list[int]] = {}
    for line in lines:
        sums.setdefault(len(line.truth), []).append(line.edits)
    return {
        length: (sum(edits) / (max(1, length) * len(edits)), len(edits))
        for length, edits in sorted(sums.items())
    }
