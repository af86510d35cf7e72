"""Calibration: is what the network is 90 % sure of right in 90 of 100 cases?"""

from typing import NamedTuple

import numpy as np

from seqvision.metrics.calibration import BINS, expected_calibration_error


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
        f"On average it is {confidence:.1%} sure and {accuracy:.1%} right: {verdict}."
        f" Expected calibration error: {found.ece:.2%}."
    )
