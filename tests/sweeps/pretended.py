"""Runs of a sweep that only pretend to train, and start at once."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqvision.runs.files import METRICS, write_status, write_whole
from seqvision.runs.records import read_metrics
from seqvision.sweeps.plan import PlannedRun


def write_run(
    workdir: Path,
    scores: list[float],
    status: str = "done",
    test: float | None = None,
    metric: str = "accuracy",
) -> None:
    """What a run leaves behind: an evaluation after each step."""
    workdir.mkdir(parents=True, exist_ok=True)
    rows = [
        {"step": step, "split": "validation", metric: score, "seconds": 0.5 * step}
        for step, score in enumerate(scores, 1)
    ]
    write_whole(workdir / METRICS, "".join(f"{json.dumps(r)}\n" for r in rows))
    more: dict[str, Any] = {}
    if status == "done":
        more = {"metrics": {"test": {metric: test}}, "seconds": 0.5 * len(scores)}
    write_status(workdir, status, len(scores), **more)


class Pretended:
    """A run of four steps, one at each poll, that begins where it stopped."""

    def __init__(self, workdir: Path, seed: int, fate: int = 0) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        self._workdir, self._seed, self._fate = workdir, seed, fate
        self._scores = [row["accuracy"] for row in read_metrics(workdir)]
        self._is_told = False

    def poll(self) -> int | None:
        if self._fate:
            return self._fate
        if self._is_told:
            write_run(self._workdir, self._scores, "interrupted")
            return 128 + signal.SIGTERM
        self._scores.append((self._seed + 1) / (len(self._scores) + 3))
        is_done = len(self._scores) == 4
        write_run(self._workdir, self._scores, "done" if is_done else "running", self._seed / 64)
        return 0 if is_done else None

    def interrupt(self) -> None:
        self._is_told = True

    def kill(self) -> None:
        pass

    def output(self) -> str:
        return "step 1/4  loss 1\nerror: no luck\n" if self._fate else ""


class Machine:
    """Starts pretended runs; notes which, and how many at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started, self.active, self.most = folder, [], set(), 0
        self.fates: dict[str, list[int]] = {}
        self.at_start: Callable[[int], None] = lambda number: None

    def __call__(self, run: PlannedRun, worker: int) -> Pretended:
        self.started.append(run.name)
        assert worker not in self.active
        fates = self.fates.get(run.name, [])
        process = Pretended(self.folder / run.name, run.settings.seed, fates.pop(0) if fates else 0)
        poll = process.poll

        def watched() -> int | None:
            code = poll()
            if code is not None:
                self.active.discard(worker)
            return code

        process.poll = watched  # type: ignore[method-assign]
        self.active.add(worker)
        self.most = max(self.most, len(self.active))
        self.at_start(len(self.started))
        return process
