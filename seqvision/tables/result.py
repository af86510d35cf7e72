"""The result of a row: its runs in figures, as a table shows them."""

import dataclasses
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqvision.config.durations import Duration, describe
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.records import read_record
from seqvision.runtime.console import duration_text
from seqvision.sweeps.eta import fractions_done
from seqvision.sweeps.process import OUTPUT
from seqvision.sweeps.table import Outcome, outcome_of
from seqvision.tables.evaluations import RunEvaluations
from seqvision.tables.limit import known_estimate
from seqvision.tables.plan import PlannedRow
from seqvision.tasks.metric_text import format_metric


@dataclasses.dataclass(frozen=True)
class RowResult:
    """The figures of a row, over those of its seeds that are done.

    Attributes:
      planned: the row.
      outcomes: of its runs, by seed.
      values: the test metric of each run that is done.
      evaluations: by name, the metric of each run that was evaluated.
      parameters: of the network; None where no run has begun.
      seconds: mean time of a training; None where none is done.
      training: how long it was trained.
      hardware: on what.
      estimate: seconds of a run that would take too long; None where none would.
    """

    planned: PlannedRow
    outcomes: tuple[Outcome, ...]
    values: tuple[float, ...]
    evaluations: dict[str, tuple[float, ...]]
    parameters: int | None
    seconds: float | None
    training: str
    hardware: str
    estimate: float | None

    @property
    def shown(self) -> tuple[float, ...]:
        """The figures that stand beside the source's."""
        row = self.planned.row
        return self.evaluations[row.shown] if row.shown else self.values

    @property
    def ours(self) -> str:
        """Mean and standard deviation (n - 1) over the seeds, or why there is none."""
        metric, shown = self.planned.plan.metric, self.shown
        if shown:
            return spread(metric, shown)
        if self.estimate is not None:
            return f"not run (about {duration_text(self.estimate)} a seed here)"
        counts = Counter(outcome.status for outcome in self.outcomes)
        if counts["done"]:
            return "not evaluated"
        told = [status for status in ("failed", "diverged", "interrupted") if counts[status]]
        return told[0] if told else "not run"

    @property
    def reason(self) -> str:
        """Why a run failed or diverged; "" where none did."""
        return next((outcome.reason for outcome in self.outcomes if outcome.reason), "")

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        row = self.planned.row
        return {
            "row": row.name,
            "source": row.source,
            "figure": row.figure,
            "differs": row.differs,
            "config": self.planned.config_path,
            "overrides": self.planned.overrides,
            "metric": self.planned.plan.metric,
            "ours": self.ours,
            **_summary(self.values),
            "evaluations": {name: _summary(values) for name, values in self.evaluations.items()},
            "parameters": self.parameters,
            "training": self.training,
            "seconds": self.seconds,
            "estimated_seconds": self.estimate,
            "hardware": self.hardware,
            "status": [outcome.status for outcome in self.outcomes],
            "reason": self.reason,
        }


def spread(metric: str, values: Sequence[float]) -> str:
    """Such as `98.82% ± 0.13 (5)`: mean, standard deviation and number of seeds."""
    mean = format_metric(metric, statistics.fmean(values))
    if len(values) < 2:
        return f"{mean} ({len(values)})"
    deviation = format_metric(metric, statistics.stdev(values)).removesuffix("%")
    return f"{mean} ± {deviation} ({len(values)})"


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values) if values else None,
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "each": list(values),
    }


def result_of(planned: PlannedRow, folder: Path, parameters: int | None) -> RowResult:
    """Reads the result of a row from its folder.

    Args:
      planned: the row.
      folder: with a folder for each of its runs.
      parameters: of the network.
    """
    plan = planned.plan
    workdirs = [folder / run.name for run in plan.runs]
    outcomes = [outcome_of(workdir, plan) for workdir in workdirs]
    done = [n for n, outcome in enumerate(outcomes) if outcome.status == "done"]
    evaluations: dict[str, tuple[float, ...]] = {}
    kept = [RunEvaluations(workdirs[n], plan.runs[0].settings, plan.metric) for n in done]
    for name, settings in planned.evaluations.items():
        found = [one.value(name, settings) for one in kept]
        evaluations[name] = tuple(value for value in found if value is not None)
    seconds = [s for n in done if (s := outcomes[n].seconds) is not None]
    estimates = [known_estimate(workdir) for workdir in workdirs]
    begun = [workdir for workdir in workdirs if (workdir / ENVIRONMENT).exists()]
    return RowResult(
        planned,
        tuple(outcomes),
        tuple(test for n in done if (test := outcomes[n].test) is not None),
        evaluations,
        parameters,
        statistics.fmean(seconds) if seconds else None,
        _training(plan.runs[0].settings.duration, [workdirs[n] for n in done]),
        _hardware(begun[0]) if begun else "",
        max((e for e in estimates if e is not None), default=None) if not done else None,
    )


def _training(duration: Duration, workdirs: Sequence[Path]) -> str:
    """How long the runs trained, which early stopping may have cut short."""
    outputs = [workdir / OUTPUT for workdir in workdirs]
    fractions = [fractions_done(o.read_text(errors="replace"))[1] for o in outputs if o.exists()]
    part = statistics.fmean(fractions) if fractions and min(fractions) > 0 else 1.0
    if part > 0.999:
        return describe(duration)
    return f"{part * duration.amount:.3g} of {describe(duration)}"


def _hardware(workdir: Path) -> str:
    """Devices and precision aside: what computed, such as `2 cores of AMD EPYC` or a GPU's name."""
    facts = read_record(workdir / ENVIRONMENT, {"devices": [str], "devices_used": int, "*": object})
    first, _, kind = facts["devices"][0].partition(" ")
    if first.startswith("cpu"):
        cores = f"{facts['devices_used']} CPU core{'s' * (facts['devices_used'] > 1)}"
        name = facts.get("processor") or ""
        return f"{cores} ({name})" if name else cores
    count = facts["devices_used"]
    return f"{count} x {kind}" if count > 1 else kind
