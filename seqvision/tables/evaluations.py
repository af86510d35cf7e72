"""Evaluations of a finished run for its table: kept beside it, so that each is done once."""

import contextlib
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten
from seqvision.runs.files import write_json
from seqvision.runs.records import NUMBER, read_record

EVALUATIONS = "table_evaluations.json"
_SHAPE = {"*": {"value": NUMBER, "changes": {"*": object}}}

Evaluate = Callable[[Settings, Path, str], Any]
"""`seqvision.evaluate.evaluate_run`."""


class RunEvaluations:
    """The evaluations of one run that are done, by name.

    Args:
      workdir: of the run.
      trained: the settings of its row.
      metric: which of the metrics a table shows.
    """

    def __init__(self, workdir: Path, trained: Settings, metric: str) -> None:
        self._workdir, self._metric = workdir, metric
        self._trained = flatten(trained)
        path = workdir / EVALUATIONS
        self._done: dict[str, Any] = read_record(path, _SHAPE) if path.exists() else {}

    def value(self, name: str, settings: Settings) -> float | None:
        """The metric of an evaluation; None where it is not done with these settings."""
        found = self._done.get(name)
        return found["value"] if found and found["changes"] == self._changes(settings) else None

    def evaluate(self, name: str, settings: Settings, evaluate: Evaluate, seed: int) -> float:
        """Evaluates the run on its test split, and keeps the metric."""
        with contextlib.redirect_stdout(io.StringIO()):
            metrics = evaluate(dataclasses.replace(settings, seed=seed), self._workdir, "test")
        value = metrics.row()[self._metric]
        if settings.asks_for_steps:
            shape = {"last_frame": {"accuracy": NUMBER, "*": object}, "*": object}
            record = read_record(self._workdir / "evaluation_test.json", shape)
            value = record["last_frame"]["accuracy"]
        self._done[name] = {"value": value, "changes": self._changes(settings)}
        write_json(self._workdir / EVALUATIONS, self._done)
        return value

    def _changes(self, settings: Settings) -> dict[str, Any]:
        """The fields that differ from those of the training, as JSON holds them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in flatten(settings).items()
            if key != "seed" and value != self._trained[key]
        }
