"""The result of a run, and its metrics as text."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqvision.runs.files import STATUS, read_json
from seqvision.runtime.console import say

_PERCENTAGES = ("accuracy", "cer", "exact_match", "boundary_f1")


@dataclasses.dataclass(frozen=True)
class Result:
    """The end of a run.

    Attributes:
      status: `done`, `interrupted` or `diverged`.
      step: completed updates.
      metrics: final metrics by split; empty unless `done`. For several seeds see
        `tasks.seed_metrics.row_of_seeds`.
      signal: number of the signal that interrupted it; None otherwise.
    """

    status: str
    step: int
    metrics: dict[str, dict[str, Any]]
    signal: int | None = None


def finished_result(workdir: Path) -> Result | None:
    """Prints and returns the result of a run that is done; None for any other."""
    if not (workdir / STATUS).exists():
        return None
    status = read_json(workdir / STATUS)
    if status["status"] != "done":
        return None
    say(f"{workdir}: this run is done after {status['step']} steps; nothing to train")
    for split, metrics in status["metrics"].items():
        say(final_line(split, metrics))
    return Result("done", status["step"], status["metrics"])


def final_line(split: str, metrics: dict[str, Any]) -> str:
    """Formats a row of metrics as one line, the most important metric first."""
    words = format_row(metrics)
    first = [name for name in ("accuracy", "cer", "exact_match") if name in words]
    for name in first:
        words[name] += format_each(name, metrics)
    names = [*first, *(name for name in words if name not in first)]
    return f"{split} " + ", ".join(f"{name.replace('_', ' ')} {words[name]}" for name in names)


def format_row(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Formats each metric of a row; for several seeds with the standard deviation."""
    std = metrics.get("std", {})
    return {
        name: format_metric(name, value) + (f" ± {_number(name, std[name])}" if name in std else "")
        for name, value in metrics.items()
        if not isinstance(value, dict)
    }


def format_each(name: str, metrics: Mapping[str, Any]) -> str:
    """Formats the values of one metric for each seed, in brackets; "" for a single seed."""
    if name not in metrics.get("each", {}):
        return ""
    return f" (each {', '.join(_number(name, value) for value in metrics['each'][name])})"


def _number(name: str, value: float) -> str:
    if name in _PERCENTAGES:
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if name == "loss" else f"{value:.4g}"


def format_metric(name: str, value: float) -> str:
    """Formats a metric; `name` is its key in `metrics.jsonl`."""
    if name in _PERCENTAGES:
        return f"{value:.2%}"
    if name.startswith("latency"):
        return f"{value:g} columns"
    return f"{value:.4f}" if name == "loss" else str(value)
