"""Metrics as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqvision.runtime.console import aligned

# Written in percent.
_FRACTIONS = ("accuracy", "balanced_accuracy", "cer", "exact_match", "boundary_f1")
_FOUR_DIGITS = ("loss", "auc", "map", "f1", "ece", "r2")
# What matters most comes first.
_FIRST = ("accuracy", "cer", "exact_match", "balanced_accuracy", "map", "auc", "mae", "rmse", "r2")
# In lines during training; `--mode=evaluate` prints all.
_LEFT_OUT = ("ece",)


def final_line(split: str, metrics: dict[str, Any]) -> str:
    """A row of metrics as a line, what matters most first."""
    words = format_row(metrics)
    words = {name: text for name, text in words.items() if name not in _LEFT_OUT}
    first = [name for name in _FIRST if name in words]
    for name in first:
        words[name] += format_each(name, metrics)
    names = [*first, *(name for name in words if name not in first)]
    return f"{split} " + ", ".join(f"{name.replace('_', ' ')} {words[name]}" for name in names)


def format_row(metrics: Mapping[str, Any]) -> dict[str, str]:
    """A row of metrics, each as text; of several seeds with their standard deviation."""
    std = metrics.get("std", {})
    return {
        name: format_metric(name, value) + (f" ± {_number(name, std[name])}" if name in std else "")
        for name, value in metrics.items()
        if not isinstance(value, dict)
    }


def format_each(name: str, metrics: Mapping[str, Any]) -> str:
    """The metric of each seed, in brackets; "" where there is one seed."""
    if name not in metrics.get("each", {}):
        return ""
    return f" (each {', '.join(_number(name, value) for value in metrics['each'][name])})"


def _number(name: str, value: float) -> str:
    if name in _FRACTIONS:
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if name in _FOUR_DIGITS else f"{value:.4g}"


def format_metric(name: str, value: float) -> str:
    """A metric as text, by its recorded name."""
    if name in _FRACTIONS:
        return f"{value:.2%}"
    if name.startswith("latency"):
        return f"{value:g} columns"
    if name in ("mae", "rmse"):
        return f"{value:.4g}"
    return f"{value:.4f}" if name in _FOUR_DIGITS else str(value)


def seeds_report(row: dict[str, Any], seeds: range) -> Iterator[str]:
    """Lines with the mean of each metric, its standard deviation, and a table of the seeds."""
    for name, text in format_row(row).items():
        yield f"{name.replace('_', ' '):<14}  {text}"
    each = row["each"]
    yield from aligned(
        [
            ("seed", *(name.replace("_", " ") for name in each)),
            *(
                (str(seed), *(format_metric(name, values[index]) for name, values in each.items()))
                for index, seed in enumerate(seeds)
            ),
        ]
    )
