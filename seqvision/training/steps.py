"""Pure train, evaluate and predict steps, and their compiled wrappers."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from seqvision.data.preprocessing import Windows, random_windows, sliding_windows, to_unit_range
from seqvision.runtime.mesh import (
    BATCH_SPEC,
    DATA_AXIS,
    SEED_AXIS,
    index_sharding,
    shard_function,
    share_batch,
    state_spec,
)
from seqvision.runtime.random_keys import example_keys, key_of
from seqvision.shapes import (
    BatchIndices,
    ByteInputs,
    Count,
    ExampleKeys,
    IndexTable,
    Inputs,
    Lengths,
    Logits,
    Mask,
)
from seqvision.tasks.base import Classification, Objective
from seqvision.tasks.losses import last_step
from seqvision.tasks.metrics import Sums
from seqvision.training.state import TrainState

Augmentation = Callable[[ExampleKeys, Inputs], Inputs]
Take = Callable[[Any, Any], dict[str, Any]]
"""See `data.dataset.Split.take`."""


class BatchOutput(NamedTuple):
    """What a network says about a batch.

    Attributes:
      probabilities: (B, K); of a clip, the mean over its windows.
      windows: (B, W, K), window by window, meaningless where a clip has fewer. One for images.
      steps: (B, W, T, K), after every step of every window; None unless the network speaks after
        every step.
    """

    # No array types: they lie on the devices first, and later on the host.
    probabilities: Any
    windows: Any
    steps: Any


def make_train_steps(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    take: Take,
    objective: Objective,
    *,
    seed: int,
    ema_decay: float = 0.0,
    augment: Augmentation | None = None,
    windows: Windows | None = None,
    streamed: bool = False,
    seeds_together: bool | None = None,
) -> Callable[..., tuple[TrainState, Array]]:
    """Compiles many training steps into one call.

    On a mesh with a `seed` axis, see `state.seeds_mesh`, it trains R seeds at once, each as it
    would be trained alone: with its own weights, examples and random numbers.

    Args:
      model: images or clips in [0, 1] to logits.
      optimizer: what turns gradients into updates.
      mesh: its `data` axis shares out every batch, its `seed` axis the seeds.
      take: the batch with given numbers.
      objective: what training makes small.
      seed: keys of windows, augmentation and dropout are functions of it and of the step; of
        several seeds the first, the others follow it.
      ema_decay: decay per step of the average of the weights, reached slowly: at step t it is at
        most (1 + t) / (10 + t). 0 where the state has no average.
      augment: applied to every batch.
      windows: each clip's window is drawn at random.
      streamed: each device has examples of its own in `arrays`, of which alone `indices` speak to
        it, rather than all that there are.
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
    num_sharing = mesh.shape[DATA_AXIS]

    def gradients(
        seed: Count | int, state: TrainState, batch: dict[str, Any]
    ) -> tuple[Any, Array, Any]:
        inputs, lengths = batch["inputs"], batch.get("lengths")
        rngs = {"dropout": key_of(seed, "dropout", state.step)}

        def share_of_loss(params: Any) -> tuple[Array, Any]:
            logits: Any = model.apply({"params": params}, inputs, lengths, train=True, rngs=rngs)
            losses = objective.losses(logits, batch)
            everyone = jnp.ones(losses.shape, jnp.bool_)
            sums = objective.sums(logits, batch, losses, everyone)
            return losses.mean() / num_sharing, sums

        (loss, sums), grads = jax.value_and_grad(share_of_loss, has_aux=True)(state.params)
        return jax.lax.psum((grads, loss, sums), DATA_AXIS)

    def update(state: TrainState, grads: Any, sums: Any) -> TrainState:
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

    def train_step(
        seed: Count | int, state: TrainState, batch: dict[str, Any]
    ) -> tuple[Any, Array]:
        inputs, lengths = batch["inputs"], batch.get("lengths")
        if windows is not None and lengths is not None:
            keys = example_keys(key_of(seed, "window", state.step), len(inputs), DATA_AXIS)
            inputs, lengths = random_windows(keys, inputs, lengths, windows.size)
            batch = batch | {"lengths": lengths}
        inputs = to_unit_range(inputs)
        if augment is not None:
            keys = example_keys(key_of(seed, "augment", state.step), len(inputs), DATA_AXIS)
            inputs = augment(keys, inputs)
        grads, loss, sums = gradients(seed, state, batch | {"inputs": inputs})
        after = update(state, grads, sums)
        finite = _all_finite((loss, grads, after.params, after.opt_state))
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state), finite

    def steps_of(
        seed: Count | int, state: TrainState, arrays: Any, indices: IndexTable, num_steps: Count
    ) -> tuple[TrainState, Array]:
        first = state.step

        def go_on(carry: tuple[TrainState, Array]) -> Array:
            state, finite = carry
            return finite & (state.step - first < num_steps)

        def one_step(carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, _ = carry
            return train_step(seed, state, take(arrays, indices[state.step - first]))

        return jax.lax.while_loop(go_on, one_step, (state, jnp.array(True)))

    def train_steps(
        state: Any, arrays: Any, indices: Any, num_steps: Count
    ) -> tuple[TrainState, Array]:
        if SEED_AXIS not in mesh.axis_names:
            return steps_of(seed, state, arrays, indices, num_steps)
        # The seeds of this device.
        count = len(indices)
        seeds = seed + jnp.arange(count, dtype=jnp.int32) + count * jax.lax.axis_index(SEED_AXIS)

        def of_one(arguments: tuple[Any, Any, Any]) -> tuple[TrainState, Array]:
            one_seed, state, indices = arguments
            return steps_of(one_seed, state, arrays, indices, num_steps)

        together = seeds_together
        if together is None:
            together = jax.default_backend() != "cpu"
        every_seed = jax.vmap(of_one) if together else functools.partial(jax.lax.map, of_one)
        return every_seed((seeds, state, indices))

    # Each device runs the whole loop on its share of the examples; they meet once a step, in psum.
    everywhere, of_state = PartitionSpec(), state_spec(mesh)
    examples = BATCH_SPEC if streamed else everywhere
    in_specs = (of_state, examples, index_sharding(mesh).spec, everywhere)
    return jax.jit(shard_function(train_steps, mesh, in_specs, of_state), donate_argnums=0)


def _all_finite(tree: Any) -> Array:
    finite = jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), tree)
    return jax.tree.reduce(jnp.logical_and, finite)


def _warmed_up(decay: float, step: Count) -> Array:
    """EMA decay that starts low, so that the first weights are soon forgotten."""
    count = step.astype(jnp.float32)
    return jnp.minimum(decay, (1.0 + count) / (10.0 + count))


def make_eval_step(
    model: nn.Module,
    mesh: Mesh,
    take: Take,
    objective: Classification,
    windows: Windows | None = None,
    streamed: bool = False,
) -> Callable[..., Sums]:
    """Compiles `eval_step(params, arrays, indices, mask) -> Sums` of one padded batch.

    See `make_train_steps` for the arguments.
    """

    def eval_step(params: Any, arrays: Any, indices: BatchIndices, mask: Mask) -> Sums:
        batch = take(arrays, indices)
        logits, _, _ = _read(model, params, batch["inputs"], batch.get("lengths"), windows)
        sums = objective.sums(logits, batch, objective.losses(logits, batch), mask)
        return jax.lax.psum(sums, DATA_AXIS)

    everywhere = PartitionSpec()
    examples = BATCH_SPEC if streamed else everywhere
    return jax.jit(
        shard_function(eval_step, mesh, (everywhere, examples, BATCH_SPEC, BATCH_SPEC), everywhere)
    )


def make_predict_step(
    model: nn.Module, mesh: Mesh, windows: Windows | None = None
) -> Callable[..., BatchOutput]:
    """Compiles `predict_step(params, inputs, lengths) -> BatchOutput`; lengths None for images."""

    def predict_step(params: Any, inputs: ByteInputs, lengths: Lengths | None) -> BatchOutput:
        logits, window_logits, step_logits = _read(model, params, inputs, lengths, windows)
        return BatchOutput(
            jax.nn.softmax(logits),
            jax.nn.softmax(window_logits),
            None if step_logits is None else jax.nn.softmax(step_logits),
        )

    return share_batch(predict_step, mesh, num_replicated=1)


def _read(
    model: nn.Module,
    params: Any,
    inputs: ByteInputs,
    lengths: Lengths | None,
    windows: Windows | None,
) -> tuple[Logits, Array, Array | None]:
    """Logits of the whole (B, K), of each window (B, W, K), and after each step (B, W, T, K).

    The whole's are the logarithm of the mean of the windows' probabilities.
    """
    if windows is None or lengths is None:
        logits: Any = model.apply({"params": params}, to_unit_range(inputs), lengths)
        last = last_step(logits, lengths)
        return last, last[:, None], logits[:, None] if logits.ndim == 3 else None
    cut, cut_lengths, mask, _ = sliding_windows(inputs, lengths, windows.size, windows.stride)
    shape = mask.shape
    flat, flat_lengths = cut.reshape(-1, *cut.shape[2:]), cut_lengths.reshape(-1)
    logits = model.apply({"params": params}, to_unit_range(flat), flat_lengths)
    last = last_step(logits, flat_lengths).reshape(*shape, -1)
    probabilities = jax.nn.log_softmax(last)
    number = mask.sum(axis=1).astype(jnp.float32)
    whole = jax.nn.logsumexp(probabilities, axis=1, where=mask[..., None])
    whole = whole - jnp.log(number)[:, None]
    return whole, last, logits.reshape(*shape, *logits.shape[1:]) if logits.ndim == 3 else None
