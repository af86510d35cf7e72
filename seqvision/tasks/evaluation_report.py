"""The report of an evaluation: all metrics, their intervals, calibration, as values and lines."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from seqvision.metrics.bootstrap import LEVEL, bootstrap_intervals
from seqvision.metrics.calibration import HIGHEST, LOWEST
from seqvision.metrics.ranking import mean_of
from seqvision.metrics.scores import ClassScores, Scores
from seqvision.runtime.console import aligned
from seqvision.tasks.metric_text import format_metric

_NAMES = {
    "map": "mean average precision",
    "auc": "mean AUC",
    "f1": "mean F1",
    "ece": "calibration error (ECE)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R2",
}


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked of an evaluation.

    Attributes:
      specificity: at which the sensitivity of each class is given.
      num_samples: of the bootstrap; 0 for no intervals.
      seed: of its draws.
      over: goes through its samples, and may show how far it is.
    """

    specificity: float = 0.9
    num_samples: int = 0
    seed: int = 0
    over: Callable[[Iterable[int]], Iterable[int]] = lambda numbers: numbers


def evaluation_report(
    scores: Scores, groups: Sequence[str], num_examples: int, asked: Asked
) -> dict[str, Any]:
    """All metrics as plain values; None where one is undefined.

    Args:
      scores: what was predicted.
      groups: of each example; () where each is a group of its own.
      num_examples: how many there are.
      asked: see there.
    """
    report: dict[str, Any] = {
        "examples": num_examples,
        "count": scores.count,
        "metrics": scores.values(),
        "specificity": asked.specificity,
        **scores.details(asked.specificity),
    }
    if asked.num_samples:
        # An example of no group is one of its own.
        own = [groups[n] or n for n in range(num_examples)] if groups else range(num_examples)
        report["intervals"] = {
            name: list(interval)
            for name, interval in bootstrap_intervals(
                scores, own, asked.num_samples, asked.seed, asked.over
            ).items()
        }
        report["bootstrap"] = {
            "samples": asked.num_samples,
            "groups": len({own[unit] for unit in scores.units.tolist()}),
            "seed": asked.seed,
            "level": LEVEL,
        }
    return report


def last_frame(scores: Scores) -> dict[str, float]:
    """Accuracy in the last known frame of each clip, and how many clips have one."""
    assert isinstance(scores, ClassScores)
    last = np.flatnonzero(np.diff(scores.units, append=-1))
    right = scores.probabilities[last].argmax(axis=1) == scores.targets[last]
    return {"accuracy": float(right.mean()), "count": len(last)}


def report_lines(
    report: dict[str, Any], left_out: Iterable[str] = (), of_groups: bool = False
) -> Iterator[str]:
    """A short table for people.

    Args:
      report: from `evaluation_report`.
      left_out: metrics that have been printed already; not where there are intervals.
      of_groups: whether examples that belong together were drawn together.
    """
    intervals = report.get("intervals", {})
    left_out = () if intervals else tuple(left_out)
    rows = [("metric", "value", f"{LEVEL:.0%} interval")] if intervals else []
    for name, value in _values(report).items():
        if name in left_out:
            continue
        low_high = intervals.get(name)
        text = " to ".join(format_metric(name, one) for one in low_high) if low_high else ""
        form = "accuracy" if name.startswith("mean sensitivity") else name
        shown = "undefined" if value is None else format_metric(form, value)
        rows.append((_NAMES.get(name, name.replace("_", " ")), shown, text))
    yield from (line.removeprefix("  ").rstrip() for line in aligned(rows))
    if intervals:
        drawn = report["bootstrap"]
        yield (
            f"intervals: {drawn['samples']} samples of {drawn['groups']}"
            f" {'groups' if of_groups else 'examples'} with replacement, seed {drawn['seed']}"
        )
    if "last_frame" in report:
        last = report["last_frame"]
        yield f"accuracy in the last known frame  {last['accuracy']:.2%} of {last['count']}"
    if "calibration" in report:
        found = report["calibration"]
        yield (
            f"temperature {found['temperature']:.3f}{_bound(found['temperature'])}, fitted on"
            " validation: calibration error"
            f" {found['ece']:.4f} -> {found['ece_calibrated']:.4f}, loss"
            f" {found['loss']:.4f} -> {found['loss_calibrated']:.4f}"
        )


def calibration_facts(scores: Scores, temperature: float) -> dict[str, Any]:
    """What a temperature changes on a split."""
    before, after = scores.values(), scores.tempered(temperature).values()
    return {
        "temperature": temperature,
        **{name: before[name] for name in ("ece", "loss")},
        **{f"{name}_calibrated": after[name] for name in ("ece", "loss")},
    }


def _bound(temperature: float) -> str:
    if 1.01 * LOWEST < temperature < 0.99 * HIGHEST:
        return ""
    return " (the most extreme that is tried: too few examples, or hardly a wrong one)"


def _values(report: dict[str, Any]) -> dict[str, float | None]:
    values = dict(report["metrics"])
    if "classes" in report:
        name = f"mean sensitivity at {report['specificity']:.0%} specificity"
        values[name] = mean_of(one["sensitivity"] for one in report["classes"].values())
    return values
