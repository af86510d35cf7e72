"""Pure train, evaluate and predict steps, and their compiled wrappers."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqvision.losses import cross_entropy
from seqvision.metrics import Sums
from seqvision.shapes import (
    ByteImages,
    Count,
    Images,
    IndexTable,
    Labels,
    Logits,
    Mask,
    PRNGKey,
    ResidentImages,
    ResidentLabels,
)
from seqvision.state import TrainState, key_of, replicated

Augmentation = Callable[[PRNGKey, Images], Images]


def to_unit_range(images: ByteImages) -> Images:
    """Bytes 0 to 255 as floats 0 to 1: the only normalisation."""
    return images.astype(jnp.float32) / 255.0


def _logits(model: nn.Module, params: Any, images: Images) -> Logits:
    logits: Any = model.apply({"params": params}, images)
    return logits


def make_train_steps(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    seed: int,
    label_smoothing: float = 0.0,
    ema_decay: float = 0.0,
    augment: Augmentation | None = None,
) -> Callable[..., tuple[TrainState, Array]]:
    """Compiles many training steps into one call.

    Args:
      model: images in [0, 1] to logits.
      optimizer: what turns gradients into updates.
      mesh: its `data` axis shares out every batch.
      seed: keys of the augmentation are functions of it and of the step.
      label_smoothing: see `losses.cross_entropy`.
      ema_decay: decay per step of the average of the weights, reached slowly: at step t it is at
        most (1 + t) / (10 + t). 0 where the state has no average.
      augment: applied to every batch of images.

    Returns:
      `train_steps(state, images, labels, indices, num_steps) -> state, finite`. The split lies on
      the devices; row s of `indices` (S, B) names the examples of step s, and the first
      `num_steps` rows are used. As `num_steps` is no constant of the program, a run takes the same
      bits whatever the calls it was cut into. `state` is given up. Where a step's
      loss, gradient or update is not finite, `finite` is False and the state is the one before it.
    """

    def gradients(state: TrainState, images: Images, labels: Labels) -> tuple[Any, Array, Sums]:
        def mean_loss(params: Any) -> tuple[Array, Logits]:
            logits = _logits(model, params, images)
            return cross_entropy(logits, labels, label_smoothing).mean(), logits

        (loss, logits), grads = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
        everyone = jnp.ones(labels.shape, jnp.bool_)
        return grads, loss, Sums.of(logits, cross_entropy(logits, labels), labels, everyone)

    def update(state: TrainState, grads: Any, sums: Sums) -> TrainState:
        # optax multiplies integer step counts with Python floats, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema_params = state.ema_params
        if ema_params is not None:
            ema_params = optax.incremental_update(
                params, ema_params, 1.0 - _warmed_up(ema_decay, state.step)
            )
        return TrainState(state.step + 1, params, opt_state, ema_params, state.sums + sums)

    def train_step(state: TrainState, images: ByteImages, labels: Labels) -> tuple[Any, Array]:
        inputs = to_unit_range(images)
        if augment is not None:
            inputs = augment(key_of(seed, "augment", state.step), inputs)
        grads, loss, sums = gradients(state, inputs, labels)
        after = update(state, grads, sums)
        finite = _all_finite((loss, grads, after.params, after.opt_state))
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state), finite

    def train_steps(
        state: TrainState,
        images: ResidentImages,
        labels: ResidentLabels,
        indices: IndexTable,
        num_steps: Count,
    ) -> tuple[TrainState, Array]:
        first = state.step

        def go_on(carry: tuple[TrainState, Array]) -> Array:
            state, finite = carry
            return finite & (state.step - first < num_steps)

        def one_step(carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, _ = carry
            chosen = indices[state.step - first]
            return train_step(state, images[chosen], labels[chosen])

        return jax.lax.while_loop(go_on, one_step, (state, jnp.array(True)))

    everywhere = replicated(mesh)
    return jax.jit(
        train_steps,
        in_shardings=(everywhere, everywhere, everywhere, index_sharding(mesh), everywhere),
        out_shardings=everywhere,
        donate_argnums=0,
    )


def index_sharding(mesh: Mesh) -> NamedSharding:
    """Each device takes its share of every row of an index table (S, B)."""
    return NamedSharding(mesh, PartitionSpec(None, "data"))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Each device takes its share of the examples of a batch."""
    return NamedSharding(mesh, PartitionSpec("data"))


def _all_finite(tree: Any) -> Array:
    finite = jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), tree)
    return jax.tree.reduce(jnp.logical_and, finite)


def _warmed_up(decay: float, step: Count) -> Array:
    """EMA decay that starts low, so that the first weights are soon forgotten."""
    count = step.astype(jnp.float32)
    return jnp.minimum(decay, (1.0 + count) / (10.0 + count))


def make_eval_step(model: nn.Module, mesh: Mesh) -> Callable[..., Sums]:
    """Compiles `eval_step(params, inputs, labels, mask) -> Sums` of one padded batch."""

    def eval_step(params: Any, inputs: ByteImages, labels: Labels, mask: Mask) -> Sums:
        logits = _logits(model, params, to_unit_range(inputs))
        return Sums.of(logits, cross_entropy(logits, labels), labels, mask)

    shares, everywhere = batch_sharding(mesh), replicated(mesh)
    return jax.jit(
        eval_step, in_shardings=(everywhere, shares, shares, shares), out_shardings=everywhere
    )


def make_predict_step(model: nn.Module, mesh: Mesh) -> Callable[..., Array]:
    """Compiles `predict_step(params, inputs) -> probabilities` (B, K)."""

    def predict_step(params: Any, inputs: ByteImages) -> Array:
        return jax.nn.softmax(_logits(model, params, to_unit_range(inputs)))

    shares, everywhere = batch_sharding(mesh), replicated(mesh)
    return jax.jit(predict_step, in_shardings=(everywhere, shares), out_shardings=shares)
