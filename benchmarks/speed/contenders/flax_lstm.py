"""Plain Flax: nn.RNN over nn.OptimizedLSTMCell, as its documentation shows it."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from benchmarks.machine import describe_devices
from benchmarks.speed.cases import LEARNING_RATE, NUM_BATCHES, NUM_CLASSES, Case
from benchmarks.speed.contender import Run
from benchmarks.speed.inputs import make_batches


class LSTMClassifier(nn.Module):
    """(B, T, D) to logits (B, K)."""

    hidden_size: int
    dtype: jnp.dtype
    unroll: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        cell = nn.OptimizedLSTMCell(self.hidden_size, dtype=self.dtype)
        # Not outputs[:, -1], whose gradient would be zeros for all the other steps.
        carry: Any
        carry, _ = nn.RNN(cell, return_carry=True, unroll=self.unroll)(inputs)
        _, hidden = carry
        return nn.Dense(NUM_CLASSES, dtype=self.dtype)(hidden).astype(jnp.float32)


class FlaxContender:
    """One jit call a step, or many steps in one jit call; the loop over time unrolled or not."""

    def versions(self) -> dict[str, str]:
        return {
            "flax": flax.__version__,
            "jax": jax.__version__,
            "optax": optax.__version__,
            "device": describe_devices(),
        }

    def settings(self, case: Case) -> dict[str, Callable[[], Run]]:
        if case.network != "lstm":
            raise ValueError(f"flax runs lstm only, not {case.network}")
        build = self._forward if case.mode == "forward" else self._training
        calls = (("jit per step", False), ("many steps in one jit", True))
        return {
            f"{name}, unroll={unroll}": functools.partial(build, case, many, unroll)
            for (name, many), unroll in itertools.product(calls, (1, 4))
        }

    def _training(self, case: Case, many: bool, unroll: int) -> Run:
        model, params, stacked, batches = _create(case, unroll)
        optimizer = optax.adam(LEARNING_RATE)
        state = (params, jax.jit(optimizer.init)(params))

        def loss(params: Any, inputs: Array, labels: Array) -> Array:
            logits = model.apply(params, inputs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        def step(state: Any, batch: tuple[Array, Array]) -> Any:
            params, opt_state = state
            updates, opt_state = optimizer.update(jax.grad(loss)(params, *batch), opt_state)
            return optax.apply_updates(params, updates), opt_state

        one_step = jax.jit(step, donate_argnums=0)

        @jax.jit
        def many_steps(state: Any, num_steps: int, stacked: Any) -> Any:
            def body(number: Any, state: Any) -> Any:
                return step(state, jax.tree.map(lambda a: a[number % NUM_BATCHES], stacked))

            return jax.lax.fori_loop(0, num_steps, body, state)

        def run(num_steps: int) -> None:
            nonlocal state
            if many:
                state = many_steps(state, num_steps, stacked)
            else:
                for number in range(num_steps):
                    state = one_step(state, batches[number % NUM_BATCHES])
            jax.block_until_ready(state)

        return run

    def _forward(self, case: Case, many: bool, unroll: int) -> Run:
        model, params, (stacked, _), batches = _create(case, unroll)
        apply = jax.jit(model.apply)

        @jax.jit
        def many_steps(params: Any, num_steps: int, stacked: Array) -> Array:
            def body(number: Any, total: Array) -> Array:
                # The sum keeps every step's logits in use.
                logits: Any = model.apply(params, stacked[number % NUM_BATCHES])
                return total + logits

            zeros = jnp.zeros((case.batch_size, NUM_CLASSES))
            return jax.lax.fori_loop(0, num_steps, body, zeros)

        def run(num_steps: int) -> None:
            if many:
                logits = many_steps(params, num_steps, stacked)
            else:
                for number in range(num_steps):
                    logits = apply(params, batches[number % NUM_BATCHES][0])
            jax.block_until_ready(logits)

        return run


def _create(case: Case, unroll: int) -> tuple[LSTMClassifier, Any, tuple[Array, Array], list[Any]]:
    """The model, its parameters, and the data: stacked, and batch by batch."""
    model = LSTMClassifier(case.hidden_size, jnp.dtype(case.dtype), unroll)
    data = make_batches(case)
    params = jax.jit(model.init)(jax.random.key(0), data[0][0])
    inputs, labels = (jax.device_put(np.stack(part)) for part in zip(*data, strict=True))
    return model, params, (inputs, labels), [jax.device_put(batch) for batch in data]
