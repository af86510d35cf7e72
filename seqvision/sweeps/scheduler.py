"""The scheduler of a sweep: a few runs at a time, each in a process of its own.

The files in the runs' folders are its only state, so a sweep may be killed at any moment and run
again, and several processes may work on one sweep: the lock of a folder admits one of them.
"""

import dataclasses
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import filelock

from seqvision.errors import BusyError, UserError, explain_os_error
from seqvision.runs.compatibility import check_same_config
from seqvision.runs.files import CONFIG, write_json, write_whole
from seqvision.runs.lock import is_locked
from seqvision.runtime.console import duration_text, say
from seqvision.runtime.cpu_devices import split_cores
from seqvision.runtime.interruption import Interruption
from seqvision.sweeps.eta import SweepProgress
from seqvision.sweeps.plan import Plan, PlannedRun
from seqvision.sweeps.process import TrainingProcess, failure_reason, train_command
from seqvision.sweeps.table import FAILURE, Outcome, csv_text, outcome_of, table_lines

TABLE, PICTURE = "sweep.csv", "sweep.png"
_POLL_SECONDS = 0.1
_LOCK_SECONDS = 1.0
_REPORT_SECONDS = 60.0
# Exit codes of a run that was stopped by a signal, with and without saving.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOPPED = (*(128 + number for number in _SIGNALS), *(-number for number in _SIGNALS))


@runtime_checkable
class Process(Protocol):
    """A running run; see `sweeps.process.TrainingProcess`."""

    def poll(self) -> int | None: ...
    def interrupt(self) -> None: ...
    def kill(self) -> None: ...
    def output(self) -> str: ...


Launch = Callable[[PlannedRun, int], Process]
"""Starts a run on the worker of a number."""


def launcher(
    program: Sequence[str],
    config_path: str,
    overrides: dict[str, object],
    folder: Path,
    num_workers: int,
) -> Launch:
    """A `Launch` that starts `main.py --mode=train`; the workers split the cores.

    Args:
      program: Python, main.py and flags.
      config_path: the config file of all runs.
      overrides: changed fields of all runs, by dotted name.
      folder: of the sweep.
      num_workers: number of runs at a time.
    """
    cores = split_cores(num_workers)

    def launch(run: PlannedRun, worker: int) -> TrainingProcess:
        workdir = folder / run.name
        command = train_command(program, config_path, {**overrides, **run.overrides}, workdir)
        return TrainingProcess(command, workdir, cores[worker])

    return launch


def run_sweep(
    plan: Plan, shard: Sequence[PlannedRun], folder: Path, launch: Launch, num_workers: int = 1
) -> int:
    """Does the unfinished runs of a shard; writes and prints the table of the whole sweep.

    Args:
      As for `finish_runs`.

    Returns:
      The exit code: 0 where all runs of the shard are done, 1 where some are not, 128 plus the
      number of the signal that interrupted the sweep.

    Raises:
      UserError: the folder cannot be used, or holds runs of another config.
    """
    outcomes, interrupted_by = finish_runs(plan, shard, folder, launch, num_workers, True)
    for line in table_lines(plan, outcomes, folder):
        say(line)
    if interrupted_by is not None:
        say("the same command goes on from here")
        return 128 + interrupted_by
    own = {run.name for run in shard}
    done = [o.status == "done" for r, o in zip(plan.runs, outcomes, strict=True) if r.name in own]
    return 0 if all(done) else 1


def finish_runs(
    plan: Plan,
    shard: Sequence[PlannedRun],
    folder: Path,
    launch: Launch,
    num_workers: int = 1,
    with_picture: bool = False,
) -> tuple[list[Outcome], int | None]:
    """Does the unfinished runs of a shard, and writes the table of the whole sweep.

    Args:
      plan: the sweep.
      shard: the runs to do here.
      folder: of the sweep, with a folder for each run.
      launch: starts a run.
      num_workers: number of runs at a time.
      with_picture: also draws it.

    Returns:
      The outcomes of all runs of the plan, and the number of the signal that interrupted it.

    Raises:
      UserError: the folder cannot be used, or holds runs of another config.
    """
    _check_folder(plan, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Interruption() as interruption:
            _Scheduler(plan, folder, launch, num_workers, interruption).run(shard)
            outcomes = _write_table(plan, folder, with_picture)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise  # The reader of the output has ended; the folder is fine.
        raise UserError(explain_os_error(error, folder, "--workdir")) from error
    return outcomes, interruption.signal


def _check_folder(plan: Plan, folder: Path) -> None:
    """Checks for all runs, before the first one starts, what each of them would check."""
    if (folder / CONFIG).exists():
        raise UserError(
            f"{folder}: it holds a run, and --mode=sweep needs a folder for many; choose another"
            " --workdir"
        )
    for run in plan.runs:
        check_same_config(run.settings, folder / run.name)


class _Scheduler:
    """Queue of waiting runs, and the active ones by worker."""

    def __init__(
        self, plan: Plan, folder: Path, launch: Launch, num_workers: int, interruption: Interruption
    ) -> None:
        self._plan, self._folder, self._launch = plan, folder, launch
        self._interruption = interruption
        self._free = deque(range(num_workers))
        self._waiting: list[PlannedRun] = []
        self._active: dict[int, tuple[PlannedRun, Process, float]] = {}
        # Runs that other processes train, by name, with the time to look at their locks again.
        self._busy: dict[str, float] = {}

    def run(self, shard: Sequence[PlannedRun]) -> None:
        """Returns when all runs have ended, or were interrupted."""
        self._waiting = [run for run in shard if not self._outcome(run).is_final]
        self._total, self._num_ended = len(self._waiting), 0
        of_all = "" if len(shard) == len(self._plan.runs) else f" of all {len(self._plan.runs)}"
        say(
            f"{self._folder}: {len(shard)} runs{of_all}, {len(shard) - self._total} finished"
            f" before, {self._total} to run, {len(self._free)} at a time"
        )
        self._progress = SweepProgress(self._total, time.monotonic())
        self._reported, is_told = time.monotonic(), False
        try:
            while self._waiting or self._active:
                if self._interruption.signal is not None:
                    self._waiting.clear()
                    if not is_told:
                        for _, process, _ in self._active.values():
                            process.interrupt()
                    is_told = True
                self._start_some()
                self._end_some()
                self._report()
                time.sleep(_POLL_SECONDS)
        finally:
            for _, process, _ in self._active.values():
                process.kill()  # After a second Ctrl-C or an error.

    def _start_some(self) -> None:
        for run in list(self._waiting):
            if not self._free:
                return
            if self._is_busy(run):
                continue
            self._waiting.remove(run)
            outcome = self._outcome(run)
            if outcome.is_final:  # Another process has done it.
                self._say_ended(run, outcome, "elsewhere", "")
                continue
            (self._folder / run.name / FAILURE).unlink(missing_ok=True)
            worker = self._free.popleft()
            self._active[worker] = (run, self._launch(run, worker), time.monotonic())
            say(f"{run.name}: {'begins' if outcome.status == 'missing' else 'goes on'}")

    def _is_busy(self, run: PlannedRun) -> bool:
        """Whether another process trains a run, by its lock."""
        if time.monotonic() < self._busy.get(run.name, 0.0):
            return True
        is_busy = is_locked(self._folder / run.name)
        if is_busy:
            self._note_busy(run)
        return is_busy

    def _note_busy(self, run: PlannedRun) -> None:
        if run.name not in self._busy:
            say(f"{run.name}: another process is training it; waiting for that")
        self._busy[run.name] = time.monotonic() + _LOCK_SECONDS

    def _end_some(self) -> None:
        for worker, (run, process, start) in list(self._active.items()):
            code = process.poll()
            if code is not None:
                del self._active[worker]
                self._free.append(worker)
                self._ended(run, process.output(), code, time.monotonic() - start)

    def _ended(self, run: PlannedRun, output: str, code: int, seconds: float) -> None:
        if code == BusyError.exit_code:  # Another process locked the folder first.
            self._note_busy(run)
            self._waiting.append(run)
            return
        outcome = self._outcome(run)
        if code in _STOPPED:
            outcome = dataclasses.replace(outcome, status="interrupted")
        elif code != 0 and outcome.status != "diverged":
            reason = failure_reason(code, output)
            write_json(self._folder / run.name / FAILURE, {"reason": reason})
            outcome = self._outcome(run)
        self._say_ended(run, outcome, f"in {duration_text(seconds)}", output)
        _write_table(self._plan, self._folder)

    def _say_ended(self, run: PlannedRun, outcome: Outcome, how: str, output: str) -> None:
        self._progress.ended(output)
        self._num_ended += 1
        line = f"[{self._num_ended}/{self._total}] {run.name}: {outcome.status} {how}"
        if outcome.reason:
            line += f": {outcome.reason}"
        say(line + self._time_left())

    def _report(self) -> None:
        if time.monotonic() - self._reported < _REPORT_SECONDS:
            return
        self._reported = time.monotonic()
        running = ", ".join(run.name for run, _, _ in self._active.values())
        say(f"[{self._num_ended}/{self._total}] running: {running}{self._time_left()}")

    def _time_left(self) -> str:
        running = [process.output() for _, process, _ in self._active.values()]
        left = self._progress.seconds_left(time.monotonic(), running)
        return "" if left is None or left <= 0 else f"; ETA {duration_text(left)}"

    def _outcome(self, run: PlannedRun) -> Outcome:
        return outcome_of(self._folder / run.name, self._plan)


def _write_table(plan: Plan, folder: Path, with_picture: bool = False) -> list[Outcome]:
    """Writes the table under a lock, so that the last of several processes writes all runs."""
    with filelock.FileLock(folder / ".sweep-lock"):
        outcomes = [outcome_of(folder / run.name, plan) for run in plan.runs]
        write_whole(folder / TABLE, csv_text(plan, outcomes))
        if with_picture:
            _draw(plan, outcomes, folder / PICTURE)
    return outcomes


def _draw(plan: Plan, outcomes: Sequence[Outcome], path: Path) -> None:
    try:
        from seqvision.sweeps.plots import draw_sweep
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        say(f"{path}: not drawn, since matplotlib is missing: pip install -e '.[plots]'")
        return
    draw_sweep(plan, outcomes, path)
