"""Outcomes of the runs of a sweep, and the table of them."""

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqvision.config.validation import flatten
from seqvision.errors import UserError
from seqvision.runs.records import read_metrics, read_record, read_status
from seqvision.runtime.console import aligned, duration_text
from seqvision.runtime.csv_cell import csv_cell
from seqvision.sweeps.plan import Plan, PlannedRun
from seqvision.tasks.metric_text import format_metric

FAILURE = "failure.json"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The state of a run. The metric is that of the plan; for several seeds the mean.

    Attributes:
      status: `done`, `diverged`, `failed`, `interrupted`, `running` (also after a kill) or
        `missing`.
      best, best_step: the best validation metric so far, and its step.
      test: the test metric of a run that is done.
      reason: of a failure or divergence; "" otherwise.
      seconds: training time, the time before restarts included.
      curve: step and validation metric of each evaluation.
    """

    status: str
    best: float | None = None
    best_step: int | None = None
    test: float | None = None
    reason: str = ""
    seconds: float | None = None
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether the run needs no further attempt."""
        return self.status in ("done", "diverged")


def outcome_of(workdir: Path, plan: Plan) -> Outcome:
    """Reads the outcome of a run from the files in its folder."""
    try:
        return _outcome_of(workdir, plan)
    except (UserError, OSError) as error:
        return Outcome("failed", reason=str(error))


def _outcome_of(workdir: Path, plan: Plan) -> Outcome:
    rows = read_metrics(workdir)
    curve = [
        (row["step"], row[plan.metric])
        for row in rows
        if row["split"] == "validation" and isinstance(row.get(plan.metric), float | int)
    ]
    # The first of equals, as in training.
    choose = max if plan.higher_is_better else min
    best_step, best = choose(curve, key=lambda point: point[1], default=(None, None))
    status = read_status(workdir) or {"status": "missing"}
    outcome = Outcome(
        status=status["status"],
        best=best,
        best_step=best_step,
        seconds=status.get("seconds", rows[-1]["seconds"] if rows else None),
        curve=tuple(curve),
    )
    if outcome.status == "done":
        metrics = status["metrics"]
        test = metrics.get("test", {}).get(plan.metric)
        return dataclasses.replace(outcome, test=test, reason=_lacking(plan.metric, metrics))
    if outcome.status == "diverged":
        reason = f"loss or gradient is not finite in step {status['step'] + 1}"
        return dataclasses.replace(outcome, reason=reason)
    if (workdir / FAILURE).exists():
        reason = read_record(workdir / FAILURE, {"reason": str})["reason"]
        return dataclasses.replace(outcome, status="failed", reason=reason)
    return outcome


def _lacking(metric: str, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a run that is done cannot be compared by this metric; "" where it can."""
    if any(metric in split for split in metrics.values()):
        return ""
    found = ", ".join(dict.fromkeys(name for split in metrics.values() for name in split))
    return (
        f"done, but its targets have no {metric}, by which runs are compared; set"
        f" config.checkpoint.best_metric to one that they have: {found}"
    )


def csv_text(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """The table as CSV with a row for each run; all columns but `seconds` are reproducible."""
    rows: list[dict[str, Any]] = [
        {
            "run": run.name,
            **dict(zip(plan.keys, values_of(run, plan.keys), strict=True)),
            "status": outcome.status,
            f"best_validation_{plan.metric}": outcome.best,
            "best_step": outcome.best_step,
            f"test_{plan.metric}": outcome.test,
            "reason": outcome.reason,
            "seconds": outcome.seconds,
        }
        for run, outcome in zip(plan.runs, outcomes, strict=True)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def declared_runs(table: Path) -> list[str]:
    """The names of all runs of a sweep, in their order, by its `csv_text`; [] without one."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return [row["run"] for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error):
        return []


def table_lines(plan: Plan, outcomes: Sequence[Outcome], folder: Path) -> Iterator[str]:
    """The table as lines of text, then the reasons of failures, then the best run."""
    metric = plan.metric
    rows = [(*short_names(plan.keys).values(), "status", "best validation", "test", "time")]
    for run, outcome in zip(plan.runs, outcomes, strict=True):
        values = map(str, values_of(run, plan.keys))
        best = "" if outcome.best is None else format_metric(metric, outcome.best)
        at = "" if outcome.best_step is None else f" (step {outcome.best_step})"
        test = "" if outcome.test is None else format_metric(metric, outcome.test)
        time = "" if outcome.seconds is None else duration_text(outcome.seconds)
        rows.append((*values, outcome.status, best + at, test, time))
    yield from aligned(rows)
    for run, outcome in zip(plan.runs, outcomes, strict=True):
        if outcome.reason:
            yield f"{outcome.status}: {run.name}: {outcome.reason}"
    number = best_of(plan, outcomes)
    if number is not None:
        run, outcome = plan.runs[number], outcomes[number]
        best = format_metric(metric, outcome.best or 0)
        test = "" if outcome.test is None else f", test {format_metric(metric, outcome.test)}"
        yield f"best by validation {metric}: {folder / run.name}: {best}{test}"


def best_of(plan: Plan, outcomes: Sequence[Outcome]) -> int | None:
    """Index of the finished run with the best validation metric; the first of equals."""
    scores = {
        number: outcome.best
        for number, outcome in enumerate(outcomes)
        if outcome.status == "done" and outcome.best is not None
    }
    choose = max if plan.higher_is_better else min
    return choose(scores, key=lambda number: scores[number], default=None)


def values_of(run: PlannedRun, keys: Sequence[str]) -> list[Any]:
    """Values of a run in some fields, whether it overrides them or not."""
    fields = flatten(run.settings)
    return [fields[key] for key in keys]


def short_names(keys: Sequence[str]) -> Mapping[str, str]:
    """Maps each field to the last part of its name where that is unique, else to its whole name."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)
    }
