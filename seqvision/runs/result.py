"""How a run ended, in numbers and in words."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqvision.runs.files import STATUS, read_json
from seqvision.runtime.console import say

# Said in percent.
_SHARES = ("accuracy", "cer", "exact_match", "boundary_f1")


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      status: `done`, `interrupted` or `diverged`.
      step: completed updates.
      metrics: by split, what was measured at the end; empty unless `done`. Of several seeds at once
        as in `tasks.seed_metrics.row_of_seeds`.
      signal: the number of the signal that interrupted it.
    """

    status: str
    step: int
    metrics: dict[str, dict[str, Any]]
    signal: int | None = None


def finished_result(workdir: Path) -> Result | None:
    """The result of a run that is done already, repeated in words; None of any other."""
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
    """A row of metrics as a line, what matters most first."""
    words = format_row(metrics)
    first = [name for name in ("accuracy", "cer", "exact_match") if name in words]
    for name in first:
        words[name] += format_each(name, metrics)
    names = [*first, *(name for name in words if name not in first)]
    return f"{split} " + ", ".join(f"{name.replace('_', ' ')} {words[name]}" for name in names)


def format_row(metrics: Mapping[str, Any]) -> dict[str, str]:
    """A row of metrics, figure by figure; of several seeds with their standard deviation."""
    std = metrics.get("std", {})
    return {
        name: format_metric(name, value) + (f" ± {_number(name, std[name])}" if name in std else "")
        for name, value in metrics.items()
        if not isinstance(value, dict)
    }


def format_each(name: str, metrics: Mapping[str, Any]) -> str:
    """The figure of each seed, in brackets; "" where there is one."""
    if name not in metrics.get("each", {}):
        return ""
    return f" (each {', '.join(_number(name, value) for value in metrics['each'][name])})"


def _number(name: str, value: float) -> str:
    if name in _SHARES:
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if name == "loss" else f"{value:.4g}"


def format_metric(name: str, value: float) -> str:
    """A figure by the name that it has on record."""
    if name in _SHARES:
        return f"{value:.2%}"
    if name.startswith("latency"):
        return f"{value:g} columns"
    return f"{value:.4f}" if name == "loss" else str(value)
