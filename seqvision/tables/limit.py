"""A limit on the time of a run: one that would take longer is stopped, and its estimate kept."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from seqvision.runs.files import write_json
from seqvision.runs.records import NUMBER, read_metrics, read_record
from seqvision.sweeps.eta import last_step
from seqvision.sweeps.scheduler import Process

ESTIMATE = "estimate.json"
_LOOK_SECONDS = 1.0


class LimitedRun:
    """A running run that is asked to save and stop where its whole training would take too long.

    Args:
      process: the run.
      workdir: its folder.
      most_seconds: that its training may take.
      clock: in seconds.
    """

    def __init__(
        self,
        process: Process,
        workdir: Path,
        most_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process, self._workdir, self._most = process, workdir, most_seconds
        self._clock, self._looked, self._is_told = clock, clock(), False
        self.kill, self.output, self.interrupt = process.kill, process.output, process.interrupt

    def poll(self) -> int | None:
        """See `sweeps.scheduler.Process`."""
        code = self._process.poll()
        if code is None and not self._is_told and self._clock() - self._looked >= _LOOK_SECONDS:
            self._looked = self._clock()
            seconds = measured_seconds(self._workdir, self._process.output())
            if seconds is not None and seconds > self._most:
                self._is_told = True
                write_json(self._workdir / ESTIMATE, {"seconds": seconds})
                self._process.interrupt()
        return code


def measured_seconds(workdir: Path, output: str) -> float | None:
    """Seconds of a whole training at its best speed so far; None before it is known.

    The best, since a computer that slept, or did other things for a while, is not slow.

    Args:
      workdir: of the run, whose `metrics.jsonl` says when each step was done.
      output: what the run printed, which says how many steps there are.
    """
    step_of_all = last_step(output)
    rows = [row for row in read_metrics(workdir) if row["split"] == "train"]
    speeds = [
        (after["seconds"] - before["seconds"]) / (after["step"] - before["step"])
        for before, after in itertools.pairwise(rows)
        if after["step"] > before["step"]
    ]
    return step_of_all[1] * min(speeds) if step_of_all and speeds else None


def known_estimate(workdir: Path) -> float | None:
    """What stopped a run: the seconds that it would take; None where nothing did."""
    path = workdir / ESTIMATE
    return float(read_record(path, {"seconds": NUMBER})["seconds"]) if path.exists() else None
