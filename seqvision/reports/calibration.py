"""Calibration: is what the network is 90 % sure of right in 90 of 100 cases?"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from seqvision.metrics.calibration import BINS, expected_calibration_error
from seqvision.reports.charts import FIRST, MUTED, REST, chart_style, new_figure, svg
from seqvision.reports.page import Section, fill


class Reliability(NamedTuple):
    """Predictions in bins of their confidence, all of one width, each with its upper end.

    Attributes:
      counts: int (bins,).
      confidence: float64 (bins,), the mean in each bin; 0 where it is empty.
      accuracy: float64 (bins,), the fraction that is right; 0 where it is empty.
      ece: see `metrics.calibration.expected_calibration_error`.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    ece: float


def reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Of predictions (N,), at least one: how sure each was, 0 to 1, and whether it was right."""
    confidence = np.asarray(confidence, np.float64)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, weights, BINS) for weights in (confidence, np.asarray(correct))]
    mean, accuracy = (total / np.maximum(counts, 1) for total in sums)
    return Reliability(
        counts, mean, accuracy, expected_calibration_error(confidence, np.asarray(correct))
    )


def calibration_words(found: Reliability) -> str:
    """The diagram as a sentence or two."""
    total = found.counts.sum()
    confidence = float((found.counts * found.confidence).sum() / total)
    accuracy = float((found.counts * found.accuracy).sum() / total)
    gap = confidence - accuracy
    verdict = "about as sure as it is right"
    if abs(gap) >= 0.005:
        verdict = "surer than it is right" if gap > 0 else "less sure than it is right"
    return (
        f"On average it is {confidence:.2%} sure and {accuracy:.2%} right: {verdict}."
        f" Expected calibration error: {found.ece:.2%}."
    )


def calibration_section(confidence: np.ndarray, correct: np.ndarray, of: str = "") -> Section:
    """The reliability diagram, its bins, and the expected calibration error.

    Args:
      confidence, correct: (N,), see `reliability`.
      of: what these predictions are, where they are not the examples.
    """
    found = reliability(confidence, correct)
    words = calibration_words(found)
    ends = [f"{end / BINS:.2%}" for end in range(BINS + 1)]
    bins = zip(ends, ends[1:], found.counts, found.confidence, found.accuracy, strict=False)
    body = fill(
        "calibration.html",
        words=f"{of}: {words[0].lower()}{words[1:]}" if of else words,
        chart=svg(reliability_figure(found), "Reliability diagram"),
        bins=[one for one in bins if one[2]],
    )
    return Section("calibration", "Is it as right as it is sure?", body)


def reliability_figure(found: Reliability) -> Figure:
    """Accuracy against confidence, in bins, and how many predictions each bin has."""
    bins = len(found.counts)
    centres, width = (np.arange(bins) + 0.5) / bins, 1 / bins
    with chart_style():
        figure, axes = new_figure("how sure it was", "fraction right")
        axes.bar(centres, found.counts / found.counts.sum(), width, color=REST, label="predictions")
        axes.plot(
            [0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="as sure as right"
        )
        is_used = found.counts > 0
        axes.plot(
            found.confidence[is_used],
            found.accuracy[is_used],
            "o-",
            color=FIRST,
            markersize=4,
            label="accuracy",
            clip_on=False,  # A point at 1 is whole.
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        narrow = {"handlelength": 1.2, "columnspacing": 1.0, "handletextpad": 0.5}
        figure.legend(loc="outside upper center", ncols=3, **narrow)
    return figure
