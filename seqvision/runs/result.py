"""How a run ended, in numbers and in words."""

import dataclasses
from pathlib import Path
from typing import Any

from seqvision.runs.files import STATUS, read_json
from seqvision.runtime.console import say
from seqvision.tasks.metric_text import final_line


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
