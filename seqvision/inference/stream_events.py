"""Events of live reading: a letter begins, a letter is final."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqvision.decoding import BLANK, letter_end


class Event(NamedTuple):
    """A letter (or a space) was decoded. Each is reported twice: when it begins, and when it ends.

    Attributes:
      stream: the number of its line.
      symbol: the letter.
      columns: the first and the last column where it stands, as far as can be told: it ends as
        `decoding.letter_end` computes, and begins behind the letter before it.
      confidence: the highest probability that a column gave it so far.
      final: False when it begins: it is part of the text for good, but its confidence may still
        grow. True when it has ended. The events of either kind, joined, are the text.
      ends_word: whether it is a final space, or the last letter of a line, which `finish` ended.
      column: how many columns of the line had been read by then. The empty ones that `finish` reads
        count.
    """

    stream: int
    symbol: str
    columns: tuple[int, int]
    confidence: float
    final: bool
    ends_word: bool
    column: int


class LineState(NamedTuple):
    """What is kept of a line: `decoding.GreedyState` of one sequence, and where its text is.

    Attributes:
      num_columns: how many columns have been read.
      previous: the class of the last column; blank before the first.
      start: the first column of the run that the last column belongs to.
      highest: log probability of that class, the highest one of its run.
      end: the column where the last final letter ends; -1 before the first.
    """

    num_columns: int = 0
    previous: int = BLANK
    start: int = 0
    highest: float = 0.0
    end: int = -1


class LineEvents:
    """Decodes one line greedily, a column after another, as `decoding.greedy_step` does.

    A push of one column is to take no longer than its network: this is plain Python, since a
    compiled step, or numpy, takes longer for a single number.

    Attributes:
      state: what is kept of the line.
    """

    def __init__(self, stream: int, symbols: Sequence[str], letter_delay: int) -> None:
        """Gets ready for a new line.

        Args:
          stream: its number.
          symbols: the alphabet.
          letter_delay: see `decoding.letter_end`.
        """
        self.state = LineState()
        self._stream, self._symbols, self._delay = stream, symbols, letter_delay

    def read(
        self, winners: Sequence[int], log_probs: Sequence[float], size: int | None = None
    ) -> list[Event]:
        """The events of the next columns, in their order.

        Args:
          winners: the most probable class of each column.
          log_probs: its log probability.
          size: how many columns the line has, where it is known to have no more.
        """
        events: list[Event] = []
        num_columns, previous, start, highest, end = self.state
        for winner, log_prob in zip(winners, log_probs, strict=True):
            column = num_columns + 1
            if winner != previous:
                if previous != BLANK:
                    closed = self._event(column, previous, start, highest, end, size, final=True)
                    events.append(closed)
                    end = closed.columns[1]
                previous, start, highest = winner, num_columns, log_prob
                if winner != BLANK:
                    events.append(self._event(column, winner, start, highest, end, size))
            elif log_prob > highest:
                highest = log_prob
            num_columns = column
        self.state = LineState(num_columns, previous, start, highest, end)
        return events

    def read_blanks(self, count: int) -> None:
        """`read` of so many blanks after a blank, which is most of what it reads: no event."""
        num_columns, previous, start, highest, end = self.state
        self.state = LineState(num_columns + count, previous, start, highest, end)

    def finish(self, size: int | None) -> list[Event]:
        """The event of the last letter, where the line ends inside of it. Starts a new line."""
        state, self.state = self.state, LineState()
        if state.previous == BLANK:
            return []
        return [self._event(*state, size, final=True)]

    def _event(
        self,
        column: int,
        number: int,
        start: int,
        log_prob: float,
        before: int,
        size: int | None,
        final: bool = False,
    ) -> Event:
        """Of a letter that was output first at `start`; the one before it ends at `before`."""
        symbol, end = self._symbols[number - 1], letter_end(start, self._delay, size)
        columns = (min(before + 1, end), end)
        # In the order of the fields, since names take twice as long.
        return Event(
            self._stream,
            symbol,
            columns,
            math.exp(log_prob),
            final,
            final and symbol == " ",
            column,
        )


def read_logits(
    lines: Sequence[LineEvents],
    logits: np.ndarray,
    lengths: Sequence[int],
    sizes: Sequence[int] | None = None,
) -> list[Event]:
    """The events of the next columns of lines side by side, line by line.

    Args:
      lines: S lines.
      logits: (S, n, K) of their next columns.
      lengths: how many of these each line has.
      sizes: how many columns each line has, where they are known to have no more.
    """
    winners = logits.argmax(axis=-1)
    log_probs = np.zeros(winners.shape, np.float32)
    has_letters = winners.any(axis=1).tolist()
    if any(has_letters):  # Blanks, most columns, need no probability.
        is_letter = winners != BLANK
        letters, numbers = logits[is_letter], winners[is_letter]
        highest = letters[np.arange(len(letters)), numbers]
        log_probs[is_letter] = -np.log(np.exp(letters - highest[:, None]).sum(axis=-1))
    # As lists at once: slices of an array take longer than what is done with them.
    rows, probs = winners.tolist(), log_probs.tolist()
    events: list[Event] = []
    for stream, length in enumerate(lengths):
        if not length:
            continue
        line = lines[stream]
        if not has_letters[stream] and line.state.previous == BLANK:
            line.read_blanks(length)
            continue
        events += line.read(
            rows[stream][:length],
            probs[stream][:length],
            None if sizes is None else sizes[stream],
        )
    return events
