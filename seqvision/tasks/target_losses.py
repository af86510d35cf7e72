"""Loss functions of targets other than one class: of every step, of several labels, of numbers.

Each is the mean over what is known of an example, and 0 where nothing is. What is unknown, and
what stands behind a sequence's steps, be it NaN, reaches neither losses nor gradients.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Float32

from seqvision.data.targets import UNKNOWN
from seqvision.shapes import (
    Lengths,
    Logits,
    ManyLabels,
    Numbers,
    PerExample,
    StepLabels,
    StepLogits,
    StepMask,
)
from seqvision.tasks.losses import cross_entropy, last_step

ClassWeights = tuple[float, ...]


def last_known(known: StepMask) -> StepMask:
    """Of the known steps of each clip only the last one."""
    steps = jnp.arange(known.shape[1], dtype=jnp.int32)[None]
    last = jnp.where(known, steps, -1).max(axis=1, keepdims=True)
    return known & (steps == last)


def step_losses(
    logits: StepLogits, labels: StepLabels, label_smoothing: float = 0.0
) -> Float32[Array, "B T"]:
    """Cross entropy in nats of each step; 0 where its class is unknown.

    Args:
      logits: (B, T, K).
      labels: (B, T), 0 to K - 1, or UNKNOWN.
      label_smoothing: see `losses.cross_entropy`.
    """
    known = labels != UNKNOWN
    num_classes = logits.shape[-1]
    safe = jnp.where(known[..., None], logits, 0.0).reshape(-1, num_classes)
    each = cross_entropy(safe, jnp.where(known, labels, 0).reshape(-1), label_smoothing)
    return jnp.where(known, each.reshape(labels.shape), 0.0)


def weights_of(labels: Array, class_weights: ClassWeights) -> Float32[Array, "..."]:
    """The weight of each label's class; any of an unknown one."""
    return jnp.asarray(class_weights, jnp.float32)[jnp.maximum(labels, 0)]


def masked_mean(losses: Float[Array, "B N"], mask: Bool[Array, "B N"]) -> PerExample:
    """The mean over what is in the mask; 0 where nothing is."""
    counts = jnp.maximum(mask.sum(axis=1), 1).astype(losses.dtype)
    return jnp.where(mask, losses, 0.0).sum(axis=1) / counts


def label_losses(logits: Logits, labels: ManyLabels) -> Float32[Array, "B K"]:
    """Binary cross entropy in nats of each label; 0 where it is unknown.

    Args:
      logits: (B, K).
      labels: (B, K), 1, 0, or UNKNOWN.
    """
    import optax  # Takes long: predictions do without it.

    known = labels != UNKNOWN
    safe = jnp.where(known, logits, 0.0)
    each = optax.sigmoid_binary_cross_entropy(safe, jnp.maximum(labels, 0).astype(safe.dtype))
    return jnp.where(known, each, 0.0)


def squared_errors(outputs: Logits, numbers: Numbers, offset: float, scale: float) -> PerExample:
    """Squared error in units of `scale`; 0 where the number is unknown.

    Args:
      outputs: (B, 1), (number - offset) / scale as the network has it.
      numbers: (B,), NaN where unknown.
      offset, scale: see `data.targets.Targets`.
    """
    known = jnp.isfinite(numbers)
    wanted = (jnp.where(known, numbers, offset) - offset) / scale
    return jnp.where(known, jnp.square(outputs[:, 0] - wanted), 0.0)


def over_steps(
    logits: Logits | StepLogits,
    lengths: Lengths | None,
    step_weight: float,
    loss_of: Callable[[Logits], PerExample],
) -> PerExample:
    """The loss of the last step, and with `step_weight` the mean over all steps.

    Args:
      logits: (B, K), or (B, T, K) after every step.
      lengths: (B,), steps of each sequence; all by default.
      step_weight: see `losses.step_cross_entropy`.
      loss_of: the loss of logits (B, K), for the same target at every step.
    """
    last = loss_of(last_step(logits, lengths))
    if logits.ndim == 2 or step_weight == 0:
        return last
    real = jnp.ones(logits.shape[:2], jnp.bool_)
    if lengths is not None:
        real = jnp.arange(logits.shape[1], dtype=jnp.int32)[None] < lengths[:, None]
    safe = jnp.where(real[..., None], logits, 0.0)
    each = jax.vmap(loss_of, in_axes=1, out_axes=1)(safe)
    return (1 - step_weight) * last + step_weight * masked_mean(each, real)
