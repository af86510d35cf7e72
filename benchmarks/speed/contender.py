"""The protocol of contenders, and the clock that all of them share."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from benchmarks.speed.cases import Case

Run = Callable[[int], None]
"""Takes that many steps, and returns when their results are computed."""


class Contender(Protocol):
    """A library, ready to run cases."""

    def versions(self) -> dict[str, str]:
        """Versions of the libraries, and the device."""

    def settings(self, case: Case) -> Mapping[str, Callable[[], Run]]:
        """The ways to run a case worth a trial, by name; each builds its own model.

        Raises:
          ValueError: this contender has no such network.
        """


def timed(run: Run, seconds: float, min_steps: int, guess: float) -> tuple[float, int]:
    """Runs for about `seconds`, at least `min_steps`.

    Args:
      run: what to time.
      seconds: how long.
      min_steps: the fewest steps.
      guess: ms per step so far, from which the number of steps follows.

    Returns:
      ms per step, and the number of steps.
    """
    num_steps = max(min_steps, round(1000 * seconds / guess))
    start = time.perf_counter()
    run(num_steps)
    return 1000 * (time.perf_counter() - start) / num_steps, num_steps
