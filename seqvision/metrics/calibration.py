"""Calibration: whether what is predicted with 80 % is right in 80 of 100 cases.

A temperature T divides the logits before softmax or sigmoid (Guo et al., 2017, arXiv 1706.04599).
No order of the logits of an example changes, so neither does the class that is chosen.
"""

from collections.abc import Callable

import numpy as np

from seqvision.metrics.numerics import log_softmax, sigmoid

BINS = 15
"""Of equal width from 0 to 1, as in Guo et al."""
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are tried."""


def expected_calibration_error(
    confidences: np.ndarray, right: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """ECE: the mean over bins of |fraction right - mean confidence|, weighted by their sizes.

    Args:
      confidences: (M,), from 0 to 1; a bin holds those above its lower end, up to its upper one.
      right: bool (M,).
      weights: (M,), how often each example counts.
    """
    weights = np.ones(len(confidences)) if weights is None else weights
    confidences = confidences.astype(np.float64)
    bins = np.clip(np.ceil(confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights * (right - confidences), minlength=BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def tempered_classes(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (..., K) that sum to 1, at a temperature."""
    if temperature == 1:
        return probabilities
    smallest = np.finfo(np.float32).tiny
    logits = np.log(np.maximum(probabilities.astype(np.float64), smallest))
    return np.exp(log_softmax(logits / temperature)).astype(probabilities.dtype)


def tempered_labels(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (...,), each of a label of its own, at a temperature."""
    if temperature == 1:
        return probabilities
    return sigmoid(_logit(probabilities) / temperature).astype(probabilities.dtype)


def fit_classes(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the least cross entropy of classes (M,) under (M, K)."""
    smallest = np.finfo(np.float32).tiny
    logits = np.log(np.maximum(probabilities.astype(np.float64), smallest))
    rows = np.arange(len(targets))

    def loss(temperature: float) -> float:
        return -float(log_softmax(logits / temperature)[rows, targets].mean())

    return _least(loss)


def fit_labels(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the least cross entropy of labels 0 or 1 (M,) under (M,)."""
    signed = _logit(probabilities) * np.where(targets == 1, 1, -1)

    def loss(temperature: float) -> float:
        return float(np.logaddexp(0, -signed / temperature).mean())

    return _least(loss)


def _logit(probabilities: np.ndarray) -> np.ndarray:
    exact = np.clip(probabilities.astype(np.float64), 1e-16, 1 - 1e-16)
    return np.log(exact) - np.log1p(-exact)


def _least(loss: Callable[[float], float]) -> float:
    """Where a loss that is convex in 1 / T is least, in the logarithm of T."""
    from scipy.optimize import minimize_scalar

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(
        lambda log: loss(np.exp(log)), bounds=bounds, method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))
