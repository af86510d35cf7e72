"""Softmax and sigmoid in float64 on the host."""

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities (..., K) in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (..., K) in float64."""
    return np.exp(log_softmax(logits))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities (...,) in float64, without overflow."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))
