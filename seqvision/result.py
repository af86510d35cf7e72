"""How a run ended, in numbers and in words."""

import dataclasses
from pathlib import Path
from typing import Any

from seqvision import record
from seqvision.progress import say


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      status: `done`, `interrupted` or `diverged`.
      step: completed updates.
      metrics: by split, what was measured at the end; empty unless `done`.
      signal: the number of the signal that interrupted it.
    """

    status: str
    step: int
    metrics: dict[str, dict[str, float]]
    signal: int | None = None


def finished_result(workdir: Path) -> Result | None:
    """The result of a run that is done already, repeated in words; None of any other."""
    if not (workdir / record.STATUS).exists():
        return None
    status = record.read_json(workdir / record.STATUS)
    if status["status"] != "done":
        return None
    say(f"{workdir}: this run is done after {status['step']} steps; nothing to train")
    for split, metrics in status["metrics"].items():
        say(final_line(split, metrics))
    return Result("done", status["step"], status["metrics"])


def final_line(split: str, metrics: dict[str, Any]) -> str:
    """A row of metrics as a line, what matters most first."""
    first = [name for name in ("accuracy", "cer", "exact_match") if name in metrics]
    names = [*first, *(name for name in metrics if name not in first)]
    words = ", ".join(f"{name.replace('_', ' ')} {worded(name, metrics[name])}" for name in names)
    return f"{split} {words}"


def worded(name: str, value: float) -> str:
    """A figure by the name that it has on record."""
    if name in ("accuracy", "cer", "exact_match", "boundary_f1"):
        return f"{value:.2%}"
    if name.startswith("latency"):
        return f"{value:g} columns"
    return f"{value:.4f}" if name == "loss" else str(value)
