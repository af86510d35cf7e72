"""Metrics of text reading: errors, places of the symbols, latency."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from rapidfuzz.distance import Levenshtein

from seqvision.decoding import letter_ends

# A boundary this many columns from the true one is right.
BOUNDARY_TOLERANCE = 3


class ScoredLine(NamedTuple):
    """One line as it was read, and as it is written. Columns are counted from 0.

    Attributes:
      symbols: class numbers that were read.
      starts, ends: (len(symbols),), the columns that say each of them, both included.
      num_columns: of the line.
      truth: class numbers that are written.
      truth_ends: the last column of ink of each of these; None where unknown.
      loss: of the line, in nats.
      fits: whether the truth fits the columns; else the loss is 0 and means nothing.
    """

    symbols: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    num_columns: int
    truth: np.ndarray
    truth_ends: np.ndarray | None
    loss: float
    fits: bool


@struct.dataclass
class TextSums:
    """What a set of lines adds up to in training, on the device.

    Attributes:
      loss: float32 ().
      count: int32 (), lines.
      unfit: int32 (), those of them whose text does not fit their columns: their loss is 0.
    """

    loss: Any
    count: Any
    unfit: Any

    @classmethod
    def zeros(cls) -> "TextSums":
        return cls(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    def __add__(self, other: "TextSums") -> "TextSums":
        return jax.tree.map(jnp.add, self, other)

    def row(self) -> dict[str, float]:
        """What is recorded: the mean loss of the lines that fit (nats)."""
        count, unfit = int(self.count), int(self.unfit)
        row = {"loss": float(self.loss) / max(1, count - unfit), "count": count}
        return row | ({"unfit": unfit} if unfit else {})


@dataclasses.dataclass(frozen=True)
class ReadingMetrics:
    """What a set of lines amounts to.

    Attributes:
      loss: mean CTC loss in nats, over the lines that fit their columns.
      cer: character error rate: the fewest insertions, deletions and substitutions that turn what
        was read into what is written, over the number of symbols written.
      exact_match: fraction of the lines without an error.
      boundary_f1: of the columns where symbols end (each taken to lie in the middle of the columns
        that it may be output from), matched one to one in order, a match being at most
        `BOUNDARY_TOLERANCE` columns away. NaN, as all that follows, where no columns are known.
      latency_median, latency_p95: columns from the last one of a symbol's ink to the one that makes
        it final, where its run of columns is seen to have ended; over symbols that were read right.
      count: lines.
      unfit: lines whose text does not fit their columns; they count as any other but in the loss.
      exact_by_length: for each number of symbols, how many lines were right, and how many there
        are.
    """

    loss: float
    cer: float
    exact_match: float
    boundary_f1: float
    latency_median: float
    latency_p95: float
    count: int
    unfit: int
    exact_by_length: dict[int, tuple[int, int]]

    @property
    def score(self) -> float:
        """What decides which weights are the best: the higher the better."""
        return -self.cer

    def row(self) -> dict[str, float]:
        """What is recorded."""
        row = {"loss": self.loss, "cer": self.cer, "exact_match": self.exact_match}
        row |= {"boundary_f1": self.boundary_f1}
        row |= {"latency_median": self.latency_median, "latency_p95": self.latency_p95}
        row |= {"count": self.count} | ({"unfit": self.unfit} if self.unfit else {})
        return {name: value for name, value in row.items() if not np.isnan(value)}


def reading_metrics(lines: Iterable[ScoredLine], delay: int) -> ReadingMetrics:
    """Sums up lines.

    Args:
      lines: at least one.
      delay: the longest delay of the network, see `tasks.losses.ctc`.
    """
    num_edits = num_symbols = num_right = num_matched = num_read = num_ends = unfit = count = 0
    losses: list[float] = []
    latencies: list[int] = []
    by_length: dict[int, tuple[int, int]] = {}
    for line in lines:
        count += 1
        read, written = line.symbols.tolist(), line.truth.tolist()
        edits = Levenshtein.distance(read, written)
        num_edits, num_symbols = num_edits + edits, num_symbols + len(written)
        num_right += edits == 0
        right, lines_of_length = by_length.get(len(written), (0, 0))
        by_length[len(written)] = right + (edits == 0), lines_of_length + 1
        if line.fits:
            losses.append(line.loss)
        else:
            unfit += 1
        if line.truth_ends is None:
            continue
        found = letter_ends(line.starts, delay, line.num_columns)
        num_matched += matched(found.tolist(), line.truth_ends.tolist(), BOUNDARY_TOLERANCE)
        num_read, num_ends = num_read + len(read), num_ends + len(written)
        for block in Levenshtein.opcodes(read, written):
            if block.tag == "equal":
                final = line.ends[block.src_start : block.src_end] + 1
                latencies.extend(final - line.truth_ends[block.dest_start : block.dest_end])
    nan = float("nan")
    return ReadingMetrics(
        loss=float(np.mean(losses)) if losses else nan,
        cer=num_edits / max(1, num_symbols),
        exact_match=num_right / count,
        boundary_f1=2 * num_matched / (num_read + num_ends) if num_ends else nan,
        latency_median=float(np.median(latencies)) if latencies else nan,
        latency_p95=float(np.percentile(latencies, 95)) if latencies else nan,
        count=count,
        unfit=unfit,
        exact_by_length=dict(sorted(by_length.items())),
    )


def matched(found: list[int], true: list[int], tolerance: int) -> int:
    """The most pairs of a found and a true column, in order, no further apart than `tolerance`.

    Both lists ascend. The first of each that can be paired are: no other pairing has more pairs.
    """
    pairs = at = 0
    for column in found:
        while at < len(true) and true[at] < column - tolerance:
            at += 1
        if at < len(true) and true[at] <= column + tolerance:
            pairs, at = pairs + 1, at + 1
    return pairs
