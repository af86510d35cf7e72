"""Lines on stderr: what runs, and how long all of it will still take."""

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

    def say(self, line: str) -> None:
        """What begins now."""
        print(f"[{self._done / self._total:4.0%}, {self._left()}]  {line}", file=sys.stderr)

    def advance(self, work: float) -> None:
        """So much has been done."""
        self._done += work

    def _left(self) -> str:
        if not self._done:
            return "time left unknown"
        elapsed = time.monotonic() - self._start
        seconds = round(elapsed * (self._total - self._done) / self._done)
        return f"about {seconds // 60}:{seconds % 60:02} left"
