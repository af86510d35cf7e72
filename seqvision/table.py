"""The mode `table`: published figures beside our own; it trains and evaluates what is missing."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqvision.config import command_line
from seqvision.config.schema import Settings
from seqvision.errors import UserError, explain_os_error
from seqvision.tables.plan import PlannedRow, chosen_rows, plan_table, read_table

if TYPE_CHECKING:
    from seqvision.tables.result import RowResult


def make_table(
    config_path: str,
    changes: Mapping[str, Any],
    workdir: Path,
    program: Sequence[str],
    rows: str = "",
    run_minutes: float = 30.0,
    num_workers: int = 1,
    host_devices: int = 0,
) -> int:
    """Trains and evaluates what is missing of a table, and writes it after each row.

    Args:
      config_path: its file, `NAME.py`, whose `get_table()` returns the rows.
      changes: fields that the command line sets for all rows, by dotted name.
      workdir: the folder of the table, with a folder for each row; created if missing.
      program: the command that starts a run: Python, main.py and flags.
      rows: names of the rows to run, separated by commas; "" for all.
      run_minutes: a run that would take longer is stopped, and its row says how long.
      num_workers: number of runs at a time.
      host_devices: see `runtime.cpu_devices.prepare_host`; for the evaluations.

    Returns:
      The exit code: 0 where all rows that were to run are done or would take too long, 1 where some
      failed, 128 plus the number of the signal that interrupted it.

    Raises:
      UserError: a bad table, row or config, or a folder that cannot be used.
    """
    table, content = read_table(config_path)
    planned = plan_table(config_path, table, content, changes)
    names = {row.name for row in chosen_rows(table, rows)}
    # Imported late, so that a bad table ends before jax is loaded.
    from seqvision.runtime.cpu_devices import prepare_host

    prepare_host(host_devices)
    work = _Work(config_path, planned, workdir, program, run_minutes, num_workers)
    try:
        return work.run(names)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise UserError(explain_os_error(error, workdir, "--workdir")) from error


class _Work:
    """The rows of a table, and what is known of them so far."""

    def __init__(
        self,
        config_path: str,
        planned: list[PlannedRow],
        folder: Path,
        program: Sequence[str],
        run_minutes: float,
        num_workers: int,
    ) -> None:
        self._config_path, self._planned, self._folder = config_path, planned, folder
        self._program, self._most_seconds = program, 60 * run_minutes
        self._num_workers = num_workers
        self._parameters: dict[str, int | None] = {}

    def run(self, names: set[str]) -> int:
        """Does the rows of these names; returns the exit code."""
        from seqvision.runs.files import CONFIG
        from seqvision.runtime.console import duration_text, say
        from seqvision.tables.report import table_lines, write_table

        if (self._folder / CONFIG).exists():
            raise UserError(
                f"{self._folder}: it holds a run, and --mode=table needs a folder for many; choose"
                " another --workdir"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        chosen = [planned for planned in self._planned if planned.row.name in names]
        interrupted_by, start = None, time.monotonic()
        for number, planned in enumerate(chosen):
            elapsed = time.monotonic() - start
            eta = ""
            if number and elapsed >= 1:
                eta = f"; ETA {duration_text(elapsed / number * (len(chosen) - number))}"
            say(f"row {number + 1} of {len(chosen)}, {planned.row.name}{eta}")
            interrupted_by = self._train(planned)
            if interrupted_by is not None:
                break
            self._evaluate(planned)
            write_table(self._folder, self._config_path, self._results())
        results = self._results()
        write_table(self._folder, self._config_path, results)
        for line in table_lines(results, self._folder):
            say(line)
        if interrupted_by is not None:
            say("the same command goes on from here")
            return 128 + interrupted_by
        own = [result for result in results if result.planned.row.name in names]
        return 0 if all(result.shown or result.estimate is not None for result in own) else 1

    def _train(self, planned: PlannedRow) -> int | None:
        """Trains the runs of a row that are not done; returns what signal interrupted it."""
        from seqvision.runtime.console import duration_text, say
        from seqvision.sweeps.scheduler import finish_runs, launcher
        from seqvision.tables.limit import ESTIMATE, LimitedRun, known_estimate

        folder, runs = self._folder / planned.row.name, planned.plan.runs
        start = launcher(
            self._program, planned.config_path, planned.overrides, folder, self._num_workers
        )

        def launch(run: Any, worker: int) -> LimitedRun:
            workdir = folder / run.name
            (workdir / ESTIMATE).unlink(missing_ok=True)
            return LimitedRun(start(run, worker), workdir, self._most_seconds)

        # The first ones show how long the others would take.
        for part in (runs[: self._num_workers], runs):
            estimates = [known_estimate(folder / run.name) for run in runs]
            longest = max((one for one in estimates if one is not None), default=0.0)
            if longest > self._most_seconds:
                say(
                    f"{planned.row.name}: not run: about {duration_text(longest)} a seed here, and"
                    f" --run_minutes={self._most_seconds / 60:g}"
                )
                return None
            _, interrupted_by = finish_runs(planned.plan, part, folder, launch, self._num_workers)
            if interrupted_by is not None:
                return interrupted_by
        return None

    def _evaluate(self, planned: PlannedRow) -> None:
        """Does the evaluations of a row that are missing, one by one."""
        from seqvision.evaluate import evaluate_run
        from seqvision.runtime.console import duration_text, say
        from seqvision.sweeps.table import outcome_of
        from seqvision.tables.evaluations import RunEvaluations
        from seqvision.tasks.metric_text import format_metric

        plan, folder = planned.plan, self._folder / planned.row.name
        missing = []
        for run in plan.runs:
            if outcome_of(folder / run.name, plan).status != "done":
                continue
            kept = RunEvaluations(folder / run.name, plan.runs[0].settings, plan.metric)
            for name, settings in planned.evaluations.items():
                if kept.value(name, settings) is None:
                    missing.append((run, kept, name, settings))
        start = time.monotonic()
        for number, (run, kept, name, settings) in enumerate(missing, 1):
            value = kept.evaluate(name, settings, evaluate_run, run.settings.seed)
            left = (time.monotonic() - start) / number * (len(missing) - number)
            say(
                f"[{number}/{len(missing)}] {run.name}, {name}: {format_metric(plan.metric, value)}"
                + (f"; ETA {duration_text(left)}" if left >= 1 else "")
            )

    def _results(self) -> "list[RowResult]":
        from seqvision.tables.result import result_of

        return [
            result_of(planned, self._folder / planned.row.name, self._num_parameters(planned))
            for planned in self._planned
        ]

    def _num_parameters(self, planned: PlannedRow) -> int | None:
        """Of the network of a row, from the first of its runs that has saved one."""
        from seqvision.tables.parameters import count_parameters

        name = planned.row.name
        if self._parameters.get(name) is None:
            workdirs = [self._folder / name / run.name for run in planned.plan.runs]
            self._parameters[name] = count_parameters(workdirs)
        return self._parameters[name]


def run(
    settings: Settings,
    workdir: Path,
    rows: str,
    run_minutes: float,
    sweep_workers: int,
    host_devices: int,
) -> int:
    """`--mode=table`; returns the exit code."""
    return make_table(
        command_line.config_path(),
        command_line.config_overrides(),
        workdir,
        [*command_line.this_program(), f"--host_devices={host_devices}", "--num_processes=1"],
        rows,
        run_minutes,
        sweep_workers,
        host_devices,
    )
