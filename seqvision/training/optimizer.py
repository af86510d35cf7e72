"""Optimizers and learning-rate schedules, from optax's parts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

BACKBONE = "sequence/backbone/"
"""How the names of a backbone's arrays begin."""


def create_schedule(
    name: str,
    peak: float,
    total_steps: int,
    warmup_steps: int,
    start_fraction: float,
    final_fraction: float,
) -> optax.Schedule:
    """The learning rate at each step.

    Args:
      name: after the warm-up, `constant` stays at the peak; `cosine` falls to
        `final_fraction * peak` along half a cosine; `one_cycle` does too, and rises along half a
        cosine instead of a line (Smith & Topin, 2018).
      peak: the highest learning rate.
      total_steps: where the fall ends.
      warmup_steps: how long it rises from `start_fraction * peak`.
      start_fraction: first learning rate as a fraction of the peak; above 0.
      final_fraction: last learning rate as a fraction of the peak.

    Raises:
      ValueError: there is no such schedule.
    """
    if name == "one_cycle":
        rise: optax.Schedule = optax.cosine_decay_schedule(
            start_fraction * peak, warmup_steps, alpha=1 / start_fraction
        )
    else:
        rise = optax.linear_schedule(start_fraction * peak, peak, max(1, warmup_steps))
    if name == "constant":
        after = optax.constant_schedule(peak)
    elif name in ("cosine", "one_cycle"):
        after = optax.cosine_decay_schedule(peak, total_steps - warmup_steps, final_fraction)
    else:
        raise ValueError(f"schedule '{name}' is not known; it is constant, cosine or one_cycle")
    return optax.join_schedules([rise, after], [warmup_steps]) if warmup_steps else after


def create_optimizer(
    name: str,
    learning_rate: optax.Schedule | float,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    momentum: float = 0.0,
    decay: float = 0.9,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    backbone_scale: float = 1.0,
    is_frozen: Callable[[str], bool] | None = None,
) -> optax.GradientTransformation:
    """Clip, scale, decay weights, step.

    Args:
      name: `adam`, `adamw` (Kingma & Ba, 2015; Loshchilov & Hutter, 2019), `sgd` or `rmsprop`
        (Tieleman & Hinton, 2012; epsilon outside the root, as in PyTorch).
      learning_rate: a number or a schedule.
      beta1, beta2: adam, adamw: decay of the first and second moment.
      epsilon: adam, adamw, rmsprop: added to the denominator.
      momentum: sgd, rmsprop.
      decay: rmsprop: decay of the mean square.
      weight_decay: decoupled, times the learning rate; on kernels only (see `is_kernel`).
      clip_norm: largest global norm of the gradient; 0 is no limit.
      backbone_scale: the learning rate of a backbone, as a fraction of that of the rest.
      is_frozen: tells by the name of an array of the backbone whether it stays as it is; None
        where there is no backbone.

    Raises:
      ValueError: there is no such optimizer.
    """
    parts = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    if name in ("adam", "adamw"):
        parts.append(optax.scale_by_adam(beta1, beta2, epsilon))
    elif name == "rmsprop":
        parts.append(optax.scale_by_rms(decay, epsilon, eps_in_sqrt=False))
    elif name != "sgd":
        raise ValueError(f"optimizer '{name}' is not known; it is adam, adamw, sgd or rmsprop")
    if momentum:
        parts.append(optax.trace(momentum))
    if weight_decay:
        parts.append(optax.add_decayed_weights(weight_decay, mask=is_kernel))
    parts.append(optax.scale_by_learning_rate(learning_rate))
    if is_frozen is not None:
        parts.append(scale_backbone(backbone_scale, is_frozen))
    return optax.chain(*parts)


def scale_backbone(scale: float, is_frozen: Callable[[str], bool]) -> optax.GradientTransformation:
    """Multiplies the updates of a backbone, at `sequence/backbone`; those of frozen arrays by 0.

    As the last part it holds for weight decay, too.
    """

    def update(updates: Any, params: Any = None) -> Any:
        del params

        def scaled(path: Any, array: Any) -> Any:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            if not name.startswith(BACKBONE):
                return array
            # Not times 0, which leaves infinities.
            return (
                jnp.zeros_like(array) if is_frozen(name.removeprefix(BACKBONE)) else array * scale
            )

        return jax.tree_util.tree_map_with_path(scaled, updates)

    return optax.stateless(update)


def is_kernel(params: Any) -> Any:
    """True for each array with two or more axes: weights decay, biases and gains do not.

    Nor do biases that have one row for each frame (`models.cnn`).
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, array: array.ndim >= 2 and getattr(path[-1], "key", "") != "bias", params
    )
