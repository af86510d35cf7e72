"""Progress of long work: a bar on a terminal, elsewhere a line now and then, with the time left."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

from seqvision.runtime.console import duration_text, on_terminal, say

_SECONDS = 15.0
"""Between two lines."""

T = TypeVar("T")


class Progress:
    """How far a number of passes are.

    Args:
      num_passes: all passes; each counts as the same work.
      verb: what is done in a pass to what it is named after.
      unit: of what a pass consists of.
      everything: what all passes are done to.
    """

    def __init__(
        self,
        num_passes: int,
        verb: str = "checking",
        unit: str = "batch",
        everything: str = "all files",
    ) -> None:
        self._verb, self._unit, self._everything = verb, unit, everything
        self._num_passes, self._done = num_passes, 0.0
        self._start = self._said = time.monotonic()

    def over(self, items: Sequence[T], name: str) -> Iterator[T]:
        """The items of one pass, of this name."""
        bar = tqdm(items, name, unit=self._unit, disable=not on_terminal(), leave=False)
        for item in bar:
            yield item
            self._done += 1 / len(items)
            bar.set_postfix_str(f"{self._everything}: ETA {duration_text(self._left())}")
            if not on_terminal() and time.monotonic() - self._said > _SECONDS:
                self._said = time.monotonic()
                fraction = self._done / self._num_passes
                say(
                    f"{self._verb} {name}  {fraction:.0%} of all  ETA {duration_text(self._left())}"
                )

    def _left(self) -> float:
        elapsed = time.monotonic() - self._start
        return elapsed * (self._num_passes - self._done) / self._done
