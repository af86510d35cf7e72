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
# Of each row, but nothing that is learnt, or told by the others already.
_NO_CURVE = ("step", "seconds", "count", "unfit", "boundary_f1", "latency_median", "latency_p95")


def metric_label(name: str) -> str:
    """A metric in a heading, by its recorded name."""
    return _NAMES.get(name, name.replace("_", " "))


def curve_names(rows: list[dict[str, Any]]) -> dict[str, str]:
    """What has a learning curve, with its label: metrics that are known here first."""
    found = {
        name
        for row in rows
        for name, value in row.items()
        if isinstance(value, int | float) and name not in _NO_CURVE
    }
    names = [name for name in _NAMES if name in found] + sorted(found - _NAMES.keys())
    return {name: metric_label(name) for name in names}


def curve_figure(rows: list[dict[str, Any]], name: str) -> Figure:
    """A metric over the steps, in training and validation; of several seeds the mean.

    Args:
      rows: of `metrics.jsonl`, see `runs.records.read_metrics`.
      name: one of `curve_names`.
    """
    series = {split: _points(rows, split, name) for split in ("train", "validation")}
    series = {split: points for split, points in series.items() if points[0]}
    return line_chart(series, "step", curve_names(rows)[name], log=name == "loss")


def curve_words(rows: list[dict[str, Any]], name: str) -> str:
    """The first and last value of each line of a figure, for those who do not see it."""
    words = []
    for split in ("train", "validation"):
        steps, values = _points(rows, split, name)
        if steps:
            words.append(f"{split} from {values[0]:.4g} to {values[-1]:.4g} at step {steps[-1]}")
    return f"{curve_names(rows)[name]}: {'; '.join(words)}"


def _points(rows: list[dict[str, Any]], split: str, name: str) -> tuple[list[float], list[float]]:
    points = [
        (row["step"], row[name])
        for row in rows
        if row["split"] == split and isinstance(row.get(name), int | float)
    ]
    return [step for step, _ in points], [value for _, value in points]
