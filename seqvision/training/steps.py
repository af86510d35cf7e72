"""Compiled training steps, many in one call."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from seqvision.data.device_feed import arrays_spec
from seqvision.data.preprocessing import Windows, random_windows, to_unit_range
from seqvision.runtime.mesh import (
    DATA_AXIS,
    SEED_AXIS,
    index_sharding,
    shard_function,
    state_spec,
)
from seqvision.runtime.random_keys import example_keys, key_of
from seqvision.shapes import Count, ExampleKeys, IndexTable, Inputs
from seqvision.tasks.base import Take, Task
from seqvision.training.state import TrainState

Augmentation = Callable[[ExampleKeys, Inputs], Inputs]


def make_train_steps(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    take: Take,
    task: Task,
    *,
    seed: int,
    ema_decay: float = 0.0,
    augment: Augmentation | None = None,
    windows: Windows | None = None,
    streamed: bool = False,
    seeds_together: bool | None = None,
) -> Callable[..., tuple[TrainState, Array]]:
    """Compiles many training steps into one call.

    On a mesh with a `seed` axis, see `runtime.mesh.seeds_mesh`, it trains R seeds at once, each as
    it would be trained alone: with its own weights, examples and random numbers.

    Args:
      model, optimizer, task, ema_decay, augment, windows: see `TrainStep`.
      mesh: its `data` axis shards every batch, its `seed` axis the seeds.
      take: see `data.dataset.Split.take`.
      seed: keys of windows, augmentation and dropout are functions of it and of the step; of
        several seeds the first, the others follow it.
      streamed: each device has examples of its own in `arrays`, to which alone its part of
        `indices` refers, rather than all that there are.
      seeds_together: whether a device takes a step of all its seeds in one (`jax.vmap`), or all
        steps of one after those of another; by default what is faster: on a CPU one after another.

    Returns:
      `train_steps(state, arrays, indices, num_steps) -> state, finite`. `arrays` lie on the
      devices; row s of `indices` (S, B) names the examples of step s, and the first
      `num_steps` rows are used. As `num_steps` is no constant of the program, a run takes the same
      bits whatever the calls it was cut into. `state` is given up. Where a step's
      loss, gradient or update is not finite, `finite` is False and the state is the one before it.
      Of several seeds, states are (R, ...), `indices` (R, S, B) and `finite` (R,): where one is not
      finite, the others go on.
    """
    step = TrainStep(model, optimizer, task, mesh.shape[DATA_AXIS], ema_decay, augment, windows)

    def steps_of_seed(
        seed: Count | int, state: TrainState, arrays: Any, indices: IndexTable, num_steps: Count
    ) -> tuple[TrainState, Array]:
        first = state.step

        def goes_on(carry: tuple[TrainState, Array]) -> Array:
            state, finite = carry
            return finite & (state.step - first < num_steps)

        def one_step(carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, _ = carry
            return step(seed, state, take(arrays, indices[state.step - first]))

        return jax.lax.while_loop(goes_on, one_step, (state, jnp.array(True)))

    def train_steps(
        state: Any, arrays: Any, indices: Any, num_steps: Count
    ) -> tuple[TrainState, Array]:
        if SEED_AXIS not in mesh.axis_names:
            return steps_of_seed(seed, state, arrays, indices, num_steps)
        # The seeds of this device.
        count = len(indices)
        seeds = seed + jnp.arange(count, dtype=jnp.int32) + count * jax.lax.axis_index(SEED_AXIS)

        def of_one(arguments: tuple[Any, Any, Any]) -> tuple[TrainState, Array]:
            one_seed, state, indices = arguments
            return steps_of_seed(one_seed, state, arrays, indices, num_steps)

        together = seeds_together
        if together is None:
            together = jax.default_backend() != "cpu"
        every_seed = jax.vmap(of_one) if together else functools.partial(jax.lax.map, of_one)
        return every_seed((seeds, state, indices))

    # Each device runs the whole loop on its shard of the examples; they meet once a step, in psum.
    everywhere, of_state = PartitionSpec(), state_spec(mesh)
    in_specs = (of_state, arrays_spec(streamed), index_sharding(mesh).spec, everywhere)
    return jax.jit(shard_function(train_steps, mesh, in_specs, of_state), donate_argnums=0)


@dataclasses.dataclass(frozen=True)
class TrainStep:
    """One optimizer step, as each device takes it on its shard of the batch.

    Attributes:
      model: images or clips in [0, 1] to logits.
      optimizer: what turns gradients into updates.
      task: gives the losses.
      num_shards: devices that share the batch.
      ema_decay: decay per step of the average of the weights, reached slowly: at step t it is at
        most (1 + t) / (10 + t). 0 where the state has no average.
      augment: applied to every batch.
      windows: each clip's window is drawn at random.
    """

    model: nn.Module
    optimizer: optax.GradientTransformation
    task: Task
    num_shards: int
    ema_decay: float
    augment: Augmentation | None
    windows: Windows | None

    def __call__(
        self, seed: Count | int, state: TrainState, batch: dict[str, Any]
    ) -> tuple[Any, Array]:
        """The state after the step, and whether it is finite; if not, the state is the old one."""
        batch = self._prepared(seed, state.step, batch)
        grads, loss, sums = self._gradients(seed, state, batch)
        after = self._updated(state, grads, sums)
        finite = _all_finite((loss, grads, after.params, after.opt_state))
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state), finite

    def _prepared(self, seed: Count | int, step: Count, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with windows drawn, in [0, 1], augmented."""
        inputs, lengths = batch["inputs"], batch.get("lengths")
        if self.windows is not None and lengths is not None:
            keys = example_keys(key_of(seed, "window", step), len(inputs), DATA_AXIS)
            batch = batch | self._cut_labels(keys, batch["labels"], lengths)
            inputs, lengths = random_windows(keys, inputs, lengths, self.windows.size)
            batch = batch | {"lengths": lengths}
        inputs = to_unit_range(inputs)
        if self.augment is not None:
            keys = example_keys(key_of(seed, "augment", step), len(inputs), DATA_AXIS)
            inputs = self.augment(keys, inputs)
        return batch | {"inputs": inputs}

    def _cut_labels(self, keys: ExampleKeys, labels: Any, lengths: Any) -> dict[str, Any]:
        """The labels of the drawn windows, where each frame has one."""
        if labels.ndim != 2 or not self.task.labels_steps or self.windows is None:
            return {}
        cut, _ = random_windows(keys, labels[..., None, None, None], lengths, self.windows.size)
        return {"labels": cut[..., 0, 0, 0]}

    def _gradients(
        self, seed: Count | int, state: TrainState, batch: dict[str, Any]
    ) -> tuple[Any, Array, Any]:
        """Gradients, mean loss and sums of the whole batch."""
        inputs, lengths = batch["inputs"], batch.get("lengths")
        rngs = {"dropout": key_of(seed, "dropout", state.step)}
        counts = self.task.num_targets(batch)
        if counts is not None:  # Of the whole batch; at least 1, for a batch that has none.
            total = jnp.maximum(jax.lax.psum(counts.sum(), DATA_AXIS), 1.0)

        def shard_of_loss(params: Any) -> tuple[Array, Any]:
            logits: Any = self.model.apply(
                {"params": params}, inputs, lengths, train=True, rngs=rngs
            )
            losses = self.task.losses(logits, batch)
            everyone = jnp.ones(losses.shape, jnp.bool_)
            sums = self.task.sums(logits, batch, losses, everyone)
            if counts is None:
                return losses.mean() / self.num_shards, sums
            return (losses * counts).sum() / total, sums

        (loss, sums), grads = jax.value_and_grad(shard_of_loss, has_aux=True)(state.params)
        return jax.lax.psum((grads, loss, sums), DATA_AXIS)

    def _updated(self, state: TrainState, grads: Any, sums: Any) -> TrainState:
        # optax multiplies integer step counts with Python floats, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema_params = state.ema_params
        if ema_params is not None:
            ema_params = optax.incremental_update(
                params, ema_params, 1.0 - _warmed_up(self.ema_decay, state.step)
            )
        return TrainState(state.step + 1, params, opt_state, ema_params, state.sums + sums)


def _all_finite(tree: Any) -> Array:
    finite = jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), tree)
    return jax.tree.reduce(jnp.logical_and, finite)


def _warmed_up(decay: float, step: Count) -> Array:
    """EMA decay that starts low, so that the first weights are soon forgotten."""
    count = step.astype(jnp.float32)
    return jnp.minimum(decay, (1.0 + count) / (10.0 + count))
