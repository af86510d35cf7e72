"""Confusion matrices, and what follows from them."""

import numpy as np


def confusion_matrix(
    targets: np.ndarray, chosen: np.ndarray, num_classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """How often each class (row) was taken for each (column): float64 (K, K).

    Args:
      targets, chosen: int (M,), 0 to K - 1.
      num_classes: K.
      weights: (M,), how often each example counts.
    """
    pairs = targets.astype(np.int64) * num_classes + chosen
    counts = np.bincount(pairs, weights, minlength=num_classes**2)
    return counts.astype(np.float64).reshape(num_classes, num_classes)


def accuracy(matrix: np.ndarray) -> float:
    """The fraction that is right."""
    return float(np.trace(matrix) / matrix.sum())


def balanced_accuracy(matrix: np.ndarray) -> float:
    """The mean over the classes that have examples of the fraction of each that is right."""
    sizes = matrix.sum(axis=1)
    there = sizes > 0
    return float((np.diag(matrix)[there] / sizes[there]).mean())


def f1_of_classes(matrix: np.ndarray) -> np.ndarray:
    """F1 of each class (K,): 2 right / (true + chosen); NaN where a class is neither."""
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    there = both > 0
    return np.where(there, 2 * np.diag(matrix) / np.where(there, both, 1), np.nan)


def macro_f1(matrix: np.ndarray) -> float:
    """The mean of F1 over the classes that are true or chosen somewhere."""
    return float(np.nanmean(f1_of_classes(matrix)))
