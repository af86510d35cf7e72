"""Runs a sweep: what is missing of it, some runs at a time, each in a process of its own.

What a run leaves in its folder is all that is known of it, so a sweep may be killed at any moment
and run again, and several processes may share one: a folder takes one of them at a time.
"""

import dataclasses
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import filelock

from seqvision.config import command_line
from seqvision.config.schema import Settings
from seqvision.errors import BusyError, UserError, explain_os_error
from seqvision.runs.compatibility import check_same_config
from seqvision.runs.files import CONFIG, write_whole
from seqvision.runtime.console import duration_text, say
from seqvision.runtime.cpu_devices import core_shares
from seqvision.runtime.interruption import Interruption
from seqvision.sweeps.eta import SweepProgress
from seqvision.sweeps.plan import Plan, PlannedRun, plan_sweep, read_sweep, shard_of
from seqvision.sweeps.process import TrainingProcess, failure, train_command
from seqvision.sweeps.table import (
    Outcome,
    csv_text,
    forget_failure,
    note_failure,
    outcome_of,
    printed,
)

TABLE, PICTURE = "sweep.csv", "sweep.png"
_POLL_SECONDS = 0.1
_REPORT_SECONDS = 60.0
_BUSY_SECONDS = 5.0
# Exit codes of a run that a signal ended, after it saved and before it was ready to.
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)


class Process(Protocol):
    """A run that goes on; see `sweeps.process.TrainingProcess`."""

    def poll(self) -> int | None: ...
    def interrupt(self) -> None: ...
    def kill(self) -> None: ...
    def said(self) -> str: ...


Launch = Callable[[PlannedRun, int], Process]
"""Starts a run for one of the workers, named by its number."""


def launcher(
    program: Sequence[str],
    config_path: str,
    overrides: dict[str, object],
    folder: Path,
    num_workers: int,
) -> Launch:
    """Starts `main.py --mode=train`; the workers share the cores.

    Args:
      program: Python, main.py and flags.
      config_path: the config file of all runs.
      overrides: what all runs change of it.
      folder: the sweep's.
      num_workers: how many runs go on at once.
    """
    shares = core_shares(num_workers)

    def launch(run: PlannedRun, worker: int) -> TrainingProcess:
        workdir = folder / run.name
        command = train_command(program, config_path, {**overrides, **run.overrides}, workdir)
        return TrainingProcess(command, workdir, shares[worker])

    return launch


def run_sweep(
    plan: Plan, share: Sequence[PlannedRun], folder: Path, launch: Launch, num_workers: int = 1
) -> int:
    """Runs what is missing of a share of a sweep; writes and prints the table of the whole.

    Args:
      plan: the sweep.
      share: the runs to be done here.
      folder: where each run has its own.
      launch: starts a run.
      num_workers: how many go on at once.

    Returns:
      The exit code: 0 where all of the share are done, 1 where some are not, 128 and the number of
      the signal that came.

    Raises:
      UserError: the folder cannot be used, or holds runs of another config.
    """
    _check_folder(plan, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Interruption() as interruption:
            sweep = _Sweep(plan, folder, launch, num_workers, interruption)
            sweep.run(share)
            outcomes = _write_table(plan, folder, with_picture=True)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise  # Nobody reads what is printed.
        raise UserError(explain_os_error(error, folder, "--workdir")) from error
    for line in printed(plan, outcomes, folder):
        say(line)
    if interruption.signal is not None:
        say("the same command goes on from here")
        return 128 + interruption.signal
    own = {run.name for run in share}
    done = [o.status == "done" for r, o in zip(plan.runs, outcomes, strict=True) if r.name in own]
    return 0 if all(done) else 1


def _check_folder(plan: Plan, folder: Path) -> None:
    """Refuses before anything runs what the runs themselves would refuse one by one."""
    if (folder / CONFIG).exists():
        raise UserError(
            f"{folder}: it holds a run, and --mode=sweep needs a folder for many; choose another"
            " --workdir"
        )
    for run in plan.runs:
        check_same_config(run.settings, folder / run.name)


@dataclasses.dataclass
class _Waiting:
    run: PlannedRun
    not_before: float = 0.0


class _Sweep:
    """The runs that wait, and those that go on."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        launch: Launch,
        num_workers: int,
        interruption: Interruption,
    ) -> None:
        self._plan, self._folder, self._launch = plan, folder, launch
        self._interruption = interruption
        self._free = deque(range(num_workers))
        self._waiting: list[_Waiting] = []
        self._active: dict[int, tuple[PlannedRun, Process, float]] = {}
        self._said_busy: set[str] = set()

    def run(self, share: Sequence[PlannedRun]) -> None:
        """Returns when all are done, or were interrupted."""
        self._waiting = [_Waiting(run) for run in share if not self._outcome(run).is_final]
        self._total, self._num_ended = len(self._waiting), 0
        of_all = "" if len(share) == len(self._plan.runs) else f" of all {len(self._plan.runs)}"
        say(
            f"{self._folder}: {len(share)} runs{of_all}, {len(share) - self._total} finished"
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
                process.kill()  # Only where a second Ctrl-C or an error came.

    def _start_some(self) -> None:
        for waiting in list(self._waiting):
            if not self._free:
                return
            if waiting.not_before > time.monotonic():
                continue
            self._waiting.remove(waiting)
            run = waiting.run
            outcome = self._outcome(run)
            if outcome.is_final:  # Another process did it meanwhile.
                self._say_ended(run, outcome, "elsewhere", "")
                continue
            forget_failure(self._folder / run.name)
            worker = self._free.popleft()
            self._active[worker] = (run, self._launch(run, worker), time.monotonic())
            if run.name not in self._said_busy:
                say(f"{run.name}: {'begins' if outcome.status == 'missing' else 'goes on'}")

    def _end_some(self) -> None:
        for worker, (run, process, start) in list(self._active.items()):
            code = process.poll()
            if code is not None:
                del self._active[worker]
                self._free.append(worker)
                self._ended(run, process.said(), code, time.monotonic() - start)

    def _ended(self, run: PlannedRun, said: str, code: int, seconds: float) -> None:
        workdir = self._folder / run.name
        if code == BusyError.exit_code:
            if run.name not in self._said_busy:
                self._said_busy.add(run.name)
                say(f"{run.name}: another process is training it; waiting for that")
            self._waiting.append(_Waiting(run, time.monotonic() + _BUSY_SECONDS))
            return
        outcome = self._outcome(run)
        if code in _STOPPED:
            outcome = dataclasses.replace(outcome, status="interrupted")
        elif code != 0 and outcome.status != "diverged":
            note_failure(workdir, failure(code, said))
            outcome = self._outcome(run)
        self._say_ended(run, outcome, f"in {duration_text(seconds)}", said)
        _write_table(self._plan, self._folder)

    def _say_ended(self, run: PlannedRun, outcome: Outcome, how: str, said: str) -> None:
        self._progress.ended(said)
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
        running = [process.said() for _, process, _ in self._active.values()]
        left = self._progress.seconds_left(time.monotonic(), running)
        return "" if left is None or left <= 0 else f"; ETA {duration_text(left)}"

    def _outcome(self, run: PlannedRun) -> Outcome:
        return outcome_of(self._folder / run.name, self._plan)


def _write_table(plan: Plan, folder: Path, with_picture: bool = False) -> list[Outcome]:
    """One process at a time, so that the last of several that share a sweep writes down all."""
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


def run(
    settings: Settings, workdir: Path, sweep_workers: int, sweep_shard: str, host_devices: int
) -> int:
    """`--mode=sweep`; returns the exit code."""
    path, overrides = command_line.config_path(), command_line.config_overrides()
    plan = plan_sweep(settings, read_sweep(path), overrides)
    shard = shard_of(plan.runs, sweep_shard)
    # Each run trains alone, even if a cluster's launcher started the sweep.
    alone = (f"--host_devices={host_devices}", "--num_processes=1")
    program = [*command_line.this_program(), *alone]
    launch = launcher(program, path, overrides, workdir, sweep_workers)
    return run_sweep(plan, shard, workdir, launch, sweep_workers)
