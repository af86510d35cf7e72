"""What training makes small."""

import jax
import optax

from seqvision.shapes import Labels, Logits, PerExample


def cross_entropy(logits: Logits, labels: Labels, label_smoothing: float = 0.0) -> PerExample:
    """Softmax cross entropy in nats, one value per example.

    Args:
      logits: (B, K).
      labels: (B,), 0 to K - 1.
      label_smoothing: share of the target spread evenly over all K classes (Szegedy et al., 2016,
        section 7).
    """
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(targets, label_smoothing))
