"""Progress of a check: a bar on a terminal, elsewhere a line now and then, with the time left."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

from seqvision.runtime.console import duration_text, on_terminal, say

_SECONDS = 15.0
"""Between two lines."""

T = TypeVar("T")


class Progress:
    """How far a number of passes over the same batches are.

    Args:
      num_passes: all passes; each counts as the same work.
    """

    def __init__(self, num_passes: int) -> None:
        self._num_passes, self._done = num_passes, 0.0
        self._start = self._said = time.monotonic()

    def over(self, batches: Sequence[T], name: str) -> Iterator[T]:
        """The batches of one pass, of this name."""
        bar = tqdm(batches, name, unit="batch", disable=not on_terminal(), leave=False)
        for batch in bar:
            yield batch
            self._done += 1 / len(batches)
            bar.set_postfix_str(f"all files: ETA {duration_text(self._left())}")
            if not on_terminal() and time.monotonic() - self._said > _SECONDS:
                self._said = time.monotonic()
                fraction = self._done / self._num_passes
                say(f"checking {name}  {fraction:.0%} of all  ETA {duration_text(self._left())}")

    def _left(self) -> float:
        elapsed = time.monotonic() - self._start
        return elapsed * (self._num_passes - self._done) / self._done
