"""How far a sweep is, and how long it will take."""

import re

_STEP = re.compile(r"^step (\d+)/(\d+) ", re.MULTILINE)
_RESUMED = re.compile(r"^resuming .* from step (\d+)$", re.MULTILINE)


def share_done(said: str) -> tuple[float, float]:
    """From what a run printed: the share of its training it began with, and the share it is at."""
    steps = _STEP.findall(said)
    if not steps:
        return 0.0, 0.0
    step, total = map(int, steps[-1])
    resumed = _RESUMED.search(said)
    return (int(resumed[1]) / total if resumed else 0.0), step / total


class SweepProgress:
    """The work of a sweep in runs, each of them as much as any other.

    Args:
      num_runs: how many are to be run.
      now: the clock, in seconds.
    """

    def __init__(self, num_runs: int, now: float) -> None:
        self._left = num_runs
        self._start = now
        self._worked = 0.0

    def ended(self, said: str) -> None:
        """A run ended, well or not; `said` is what it printed."""
        start, _ = share_done(said)
        self._left -= 1
        self._worked += 1 - start

    def seconds_left(self, now: float, running: list[str]) -> float | None:
        """Seconds to the end of the sweep at the speed so far; None where nothing shows it yet.

        Args:
          now: the clock.
          running: what each run that goes on has printed.
        """
        shares = [share_done(said) for said in running]
        worked = self._worked + sum(at - start for start, at in shares)
        left = self._left - sum(at for _, at in shares)
        return (now - self._start) * left / worked if worked > 0 else None
