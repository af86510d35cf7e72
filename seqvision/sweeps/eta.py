"""Estimated time to the end of a sweep, from the output of its runs."""

import re

_STEP = re.compile(r"^step (\d+)/(\d+) ", re.MULTILINE)
_RESUMED = re.compile(r"^resuming .* from step (\d+)$", re.MULTILINE)


def fractions_done(output: str) -> tuple[float, float]:
    """The completed fractions of a run's training, at its start and now, from what it printed."""
    found = last_step(output)
    if found is None:
        return 0.0, 0.0
    step, total = found
    resumed = _RESUMED.search(output)
    return (int(resumed[1]) / total if resumed else 0.0), step / total


def last_step(output: str) -> tuple[int, int] | None:
    """The step that a run printed last, and that at which it ends."""
    steps = _STEP.findall(output)
    return (int(steps[-1][0]), int(steps[-1][1])) if steps else None


class SweepProgress:
    """Progress of a sweep; all runs count as the same amount of work.

    Args:
      num_runs: runs to do.
      now: the clock, in seconds.
    """

    def __init__(self, num_runs: int, now: float) -> None:
        self._left = num_runs
        self._start = now
        self._worked = 0.0

    def ended(self, output: str) -> None:
        """Counts a run that ended, successfully or not, after it printed `output`."""
        start, _ = fractions_done(output)
        self._left -= 1
        self._worked += 1 - start

    def seconds_left(self, now: float, running: list[str]) -> float | None:
        """Seconds to the end of the sweep at the average speed so far; None before any progress.

        Args:
          now: the clock, in seconds.
          running: the output of each run in progress.
        """
        fractions = [fractions_done(output) for output in running]
        worked = self._worked + sum(at - start for start, at in fractions)
        left = self._left - sum(at for _, at in fractions)
        return (now - self._start) * left / worked if worked > 0 else None
