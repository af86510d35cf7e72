"""Events of live reading: a letter begins, a letter is final."""

import dataclasses
from typing import Any

import jax
import numpy as np

from seqvision.data.alphabet import Alphabet
from seqvision.decoding import BLANK, letter_ends
from seqvision.inference.stream_steps import ColumnOutputs


@dataclasses.dataclass(frozen=True)
class Event:
    """A letter (or a space) was decoded. Each is reported twice: when it begins, and when it ends.

    Attributes:
      stream: the number of its line.
      symbol: the letter.
      columns: the first and the last column where it stands, as far as can be told: it ends as
        `decoding.letter_ends` computes, and begins behind the letter before it.
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


class EventMaker:
    """Makes events of decoder outputs.

    Attributes:
      symbols: the alphabet.
      ends: (S,), the column where the last final letter of each line ends; -1 before the first.
    """

    def __init__(self, symbols: tuple[str, ...], letter_delay: int, num_streams: int) -> None:
        """Gets ready for new lines.

        Args:
          symbols: the alphabet.
          letter_delay: see `decoding.letter_ends`.
          num_streams: S, lines side by side.
        """
        self.symbols = Alphabet(symbols).symbols
        self._letter_delay = letter_delay
        self.ends = np.full(num_streams, -1)

    def start(self, streams: list[int]) -> None:
        """Forgets the lines of these streams: new ones start."""
        self.ends[streams] = -1

    def events(self, outputs: ColumnOutputs, num_columns: np.ndarray | None = None) -> list[Event]:
        """The events of n columns, stream by stream, each in the order of its columns.

        Args:
          outputs: of the devices.
          num_columns: (S,) where the lines are known to have no more.
        """
        outputs = jax.device_get(outputs)
        greedy = outputs.greedy
        found = np.argwhere((greedy.begun != BLANK) | (greedy.ended != BLANK)).tolist()
        if not found:
            return []
        size = None if num_columns is None else num_columns[:, None]
        starts = outputs.first[:, None] + np.arange(greedy.begun.shape[1])
        begun_ends = letter_ends(starts, self._letter_delay, size)
        ended_ends = letter_ends(greedy.starts, self._letter_delay, size)
        events: list[Event] = []
        for stream, step in found:
            at, column = (stream, step), int(outputs.first[stream]) + step + 1
            ended = (greedy.ended[at], ended_ends[at], greedy.confidences[at], True)
            begun = (greedy.begun[at], begun_ends[at], outputs.probabilities[at], False)
            for number, end, confidence, final in (ended, begun):
                if number != BLANK:
                    events.append(self._event(stream, column, number, end, confidence, final))
        return events

    def _event(
        self, stream: int, column: int, number: Any, end: Any, confidence: Any, final: bool
    ) -> Event:
        symbol, end = self.symbols[int(number) - 1], int(end)
        begin = min(int(self.ends[stream]) + 1, end)
        if final:
            self.ends[stream] = end
        return Event(
            stream=stream,
            symbol=symbol,
            columns=(begin, end),
            confidence=float(confidence),
            final=final,
            ends_word=final and symbol == " ",
            column=column,
        )
