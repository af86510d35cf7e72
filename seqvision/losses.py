"""What training makes small."""

import jax
import jax.numpy as jnp
import optax

from seqvision.shapes import Labels, Lengths, Logits, PerExample, StepLogits


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


def last_step(logits: Logits | StepLogits, lengths: Lengths | None = None) -> Logits:
    """What a network says at the end: (B, K) as it is, (B, T, K) at each sequence's last step.

    A sequence of length 0 has said nothing: its logits are 0.
    """
    if logits.ndim == 2:
        return logits
    if lengths is None:
        return logits[:, -1]
    last = jnp.maximum(lengths - 1, 0)[:, None, None]
    return jnp.where(lengths[:, None] > 0, jnp.take_along_axis(logits, last, axis=1)[:, 0], 0)


def step_cross_entropy(
    logits: StepLogits,
    labels: Labels,
    lengths: Lengths | None = None,
    step_weight: float = 0.0,
    label_smoothing: float = 0.0,
) -> PerExample:
    """Cross entropy of a network that speaks after every step, one value per example.

    Args:
      logits: (B, T, K).
      labels: (B,); the same for every step.
      lengths: steps of each sequence; all by default.
      step_weight: w in (1 - w) * loss of the last step + w * mean loss over all steps.
      label_smoothing: see `cross_entropy`.
    """
    num_examples, num_steps, num_classes = logits.shape
    last = cross_entropy(last_step(logits, lengths), labels, label_smoothing)
    if step_weight == 0:
        return last
    each = cross_entropy(
        logits.reshape(-1, num_classes), jnp.repeat(labels, num_steps), label_smoothing
    ).reshape(num_examples, num_steps)
    if lengths is None:
        return (1 - step_weight) * last + step_weight * each.mean(axis=1)
    real = jnp.arange(num_steps, dtype=jnp.int32)[None] < lengths[:, None]
    num_real = jnp.maximum(lengths, 1).astype(each.dtype)
    mean = jnp.where(real, each, 0).sum(axis=1) / num_real
    return (1 - step_weight) * last + step_weight * mean
