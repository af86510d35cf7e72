"""Progress lines on stderr: the work in progress, and the time that all of it will still take."""

import sys
import time


class Progress:
    """Time left, by the work done so far.

    Args:
      total: all the work, in any unit.
    """

    def __init__(self, total: float) -> None:
        self._total, self._done = total, 0.0
        self._start = time.monotonic()

    def show(self, line: str) -> None:
        """Prints the part of the work that begins now."""
        print(f"[{self._done / self._total:4.0%}, {self._left()}]  {line}", file=sys.stderr)

    def advance(self, work: float = 1.0) -> None:
        """Counts work that has been done."""
        self._done += work

    def _left(self) -> str:
        if not self._done:
            return "time left unknown"
        elapsed = time.monotonic() - self._start
        seconds = round(elapsed * (self._total - self._done) / self._done)
        return f"about {seconds // 60}:{seconds % 60:02} left"
