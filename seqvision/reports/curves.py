"""Learning curves of a run, from `metrics.jsonl`."""

from typing import Any

from matplotlib.figure import Figure

from seqvision.reports.charts import line_chart

_NAMES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "cer": "character error rate",
    "exact_match": "fraction of lines without error",
    "learning_rate": "learning rate",
}


def curve_figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """A figure of each metric over the steps, by its name; of several seeds the mean.

    Args:
      rows: of `metrics.jsonl`, see `runs.records.read_metrics`.
    """
    figures = {}
    for name, label in _NAMES.items():
        series = {split: _points(rows, split, name) for split in ("train", "validation")}
        series = {split: points for split, points in series.items() if points[0]}
        if series:
            figures[label] = line_chart(series, "step", label, log=name == "loss")
    return figures


def curve_words(rows: list[dict[str, Any]], label: str) -> str:
    """The last value of each line of a figure, for those who do not see it."""
    name = next(name for name, one in _NAMES.items() if one == label)
    words = []
    for split in ("train", "validation"):
        steps, values = _points(rows, split, name)
        if steps:
            words.append(f"{split} from {values[0]:.4g} to {values[-1]:.4g} at step {steps[-1]}")
    return f"{label}: {'; '.join(words)}"


def _points(rows: list[dict[str, Any]], split: str, name: str) -> tuple[list[float], list[float]]:
    points = [
        (row["step"], row[name])
        for row in rows
        if row["split"] == split and isinstance(row.get(name), int | float)
    ]
    return [step for step, _ in points], [value for _, value in points]
