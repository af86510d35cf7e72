"""The result of a run, and its metrics as text."""

import dataclasses
from pathlib import Path
from typing import Any

from seqvision.runs.records import read_status
from seqvision.runtime.console import say
from seqvision.tasks.metric_text import final_line


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
    status = read_status(workdir)
    if status is None or status["status"] != "done":
        return None
    say(f"{workdir}: this run is done after {status['step']} steps; nothing to train")
    for split, metrics in status["metrics"].items():
        say(final_line(split, metrics))
    return Result("done", status["step"], status["metrics"])
