"""Optimizers and training steps, against numpy and by hand."""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqvision.data.batching import example_indices
from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.preprocessing import Windows, shift_and_rotate
from seqvision.runtime.mesh import DATA_AXIS, create_mesh
from seqvision.runtime.random_keys import key_of
from seqvision.tasks.classification import Classification
from seqvision.tasks.losses import cross_entropy
from seqvision.training.optimizer import create_optimizer, create_schedule
from seqvision.training.replicas import Replicas
from seqvision.training.state import TrainState, make_init
from seqvision.training.steps import make_train_steps
from tests.training.small_networks import (
    SHAPE,
    TASK,
    clip_model,
    clip_split,
    numpy_cross_entropy,
    small_model,
)

BATCH, CAPACITY = 16, 8
ADAM = create_optimizer("adam", 1e-2)


# --- optimizers and schedules ---


def test_schedules_by_hand() -> None:
    def at(name: str, *steps: int, warmup: int = 4) -> list[float]:
        schedule = create_schedule(name, 1.0, 12, warmup, start_fraction=0.2, final_fraction=0.1)
        return [float(schedule(step)) for step in steps]

    assert at("constant", 0, 2, 4, 11) == pytest.approx([0.2, 0.6, 1.0, 1.0])
    # A cosine is halfway at half time.
    assert at("cosine", 0, 2, 4, 8, 12) == pytest.approx([0.2, 0.6, 1.0, 0.55, 0.1])
    assert at("one_cycle", 0, 2, 4, 8, 12) == pytest.approx([0.2, 0.6, 1.0, 0.55, 0.1])
    rise = 0.2 + 0.8 * (1 - np.cos(np.pi / 4)) / 2
    assert at("one_cycle", 1) == pytest.approx([rise])
    assert at("constant", 0, 5, warmup=0) == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match="it is constant, cosine or one_cycle"):
        at("linear", 0)


def reference_steps(name: str, params: np.ndarray, grads: list[np.ndarray]) -> np.ndarray:
    """Three optimizers in float64, from their papers."""
    learning_rate, decay_rate = 0.1, 0.01
    m, v = np.zeros_like(params), np.zeros_like(params)
    for t, g in enumerate(grads, start=1):
        if name == "adamw":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            update = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        elif name == "rmsprop":
            v = 0.9 * v + 0.1 * g**2
            m = 0.5 * m + g / (np.sqrt(v) + 1e-8)
            update = m
        else:
            m = 0.5 * m + g
            update = m
        params = params - learning_rate * (update + decay_rate * params)
    return params


@pytest.mark.parametrize("name", ["adamw", "rmsprop", "sgd"])
def test_optimizers_equal_float64_references(rng: np.random.Generator, name: str) -> None:
    momentum = 0.0 if name == "adamw" else 0.5
    optimizer = create_optimizer(name, 0.1, momentum=momentum, weight_decay=0.01)
    kernel = rng.normal(size=(3, 2))
    grads = [rng.normal(size=(3, 2)) for _ in range(4)]
    params = {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.ones(2)}
    state = optimizer.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for grad in grads:
            step = {"kernel": jnp.asarray(grad, jnp.float32), "bias": jnp.zeros(2)}
            updates, state = optimizer.update(step, state, params)
            params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["kernel"], reference_steps(name, kernel, grads), rtol=1e-4)
    # A bias without a gradient stays: it does not decay.
    np.testing.assert_array_equal(params["bias"], np.ones(2))


def test_clipping() -> None:
    optimizer = create_optimizer("sgd", 1.0, clip_norm=1.0)
    params = {"kernel": jnp.zeros((2, 1))}
    updates, _ = optimizer.update({"kernel": jnp.array([[3.0], [4.0]])}, optimizer.init(params))
    np.testing.assert_allclose(updates["kernel"], [[-0.6], [-0.8]], rtol=1e-6)
    with pytest.raises(ValueError, match="it is adam, adamw, sgd or rmsprop"):
        create_optimizer("lion", 1.0)


# --- training steps ---


def compiled(
    devices: int = 2,
    augment: bool = True,
    ema_decay: float = 0.5,
    optimizer: optax.GradientTransformation = ADAM,
) -> tuple[Any, Any]:
    """A fresh state and its training steps; the same arguments share one compilation."""
    mesh = create_mesh(devices)
    init = make_init(small_model(), optimizer, SHAPE, TASK.zeros(), ema_decay > 0)
    return Replicas(range(7, 8)).create_state(init, mesh), compiled_steps(
        devices, augment, ema_decay, optimizer
    )


@functools.cache
def compiled_steps(
    devices: int, augment: bool, ema_decay: float, optimizer: optax.GradientTransformation
) -> Any:
    return make_train_steps(
        small_model(),
        optimizer,
        create_mesh(devices),
        ArraySplit.take,
        TASK,
        seed=7,
        ema_decay=ema_decay,
        augment=partial(shift_and_rotate, max_shift=1.0, max_rotation=5.0) if augment else None,
    )


@pytest.fixture
def training(mnist: Dataset) -> Callable[..., Any]:
    """Runs real training steps on the first 200 images and returns the state."""
    part = mnist.splits["train"].part(0, 200)

    def run(calls: list[int], **arguments: Any) -> tuple[TrainState, bool]:
        state, steps = compiled(**arguments)
        done, finite = 0, True
        for num_steps in calls:
            table = np.zeros((CAPACITY, BATCH), np.int32)
            chosen = example_indices(7, 200, done * BATCH, num_steps * BATCH)
            table[:num_steps] = chosen.reshape(num_steps, BATCH)
            state, good = steps(state, part.arrays, table, np.int32(num_steps))
            done, finite = done + num_steps, finite and bool(good)
        return state, finite

    return run


def test_calls_may_be_cut_anywhere(training: Callable[..., Any]) -> None:
    whole, _ = training([8])
    for calls in ([1] * 8, [3, 5], [7, 1]):
        cut, _ = training(calls)
        assert int(cut.step) == 8
        jax.tree.map(np.testing.assert_array_equal, cut, whole)


def test_devices_agree(training: Callable[..., Any]) -> None:
    one, _ = training([8], devices=1)
    two, _ = training([8], devices=2)
    close = partial(np.testing.assert_allclose, atol=2e-4, rtol=2e-4)
    jax.tree.map(close, two.params, one.params)
    np.testing.assert_array_equal(two.sums.count, one.sums.count)
    close(two.sums.loss, one.sums.loss)


def test_steps_equal_a_plain_loop(training: Callable[..., Any], mnist: Dataset) -> None:
    state, _ = training([5], augment=False, ema_decay=0.0)
    model, optimizer = small_model(), optax.adam(1e-2)
    params = jax.jit(model.init)(key_of(7, "init"), jnp.zeros((1, *SHAPE)))["params"]
    opt_state = optimizer.init(params)
    total = 0.0

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params: Any, images: Any, labels: Any) -> Any:
        logits = model.apply({"params": params}, images)
        return cross_entropy(logits, labels, 0.1).mean(), logits

    for step in range(5):
        chosen = example_indices(7, 200, step * 16, 16)
        images = jnp.asarray(mnist.splits["train"].inputs[chosen], jnp.float32) / 255
        labels = jnp.asarray(mnist.splits["train"].labels[chosen])
        (_, logits), grads = loss(params, images, labels)
        total += numpy_cross_entropy(np.asarray(logits), np.asarray(labels), 0.0).sum()
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), state.params, params)
    assert state.ema_params is None
    # What is reported is the plain cross entropy, not the smoothed one.
    assert float(np.asarray(state.sums.loss).sum()) == pytest.approx(total, rel=1e-5)
    assert int(np.asarray(state.sums.count).sum()) == 80


def test_ema_is_the_average_of_the_weights(training: Callable[..., Any]) -> None:
    weights = [training([steps])[0].params for steps in range(1, 4)]
    start, _ = training([0])
    expected = start.params
    for step, params in enumerate(weights):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = jax.tree.map(lambda e, p, d=decay: d * e + (1 - d) * p, expected, params)
    state, _ = training([3])
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), state.ema_params, expected)
    assert state.eval_params is state.ema_params


def test_a_step_that_is_not_finite_is_not_taken(training: Callable[..., Any]) -> None:
    before, fine = training([3], optimizer=_explodes_at(10**6), augment=False)
    state, finite = training([8], optimizer=_explodes_at(3), augment=False)
    # Update 3, the fourth, would make the weights infinite.
    assert fine
    assert not finite
    assert int(state.step) == 3
    jax.tree.map(np.testing.assert_array_equal, state.params, before.params)
    jax.tree.map(np.testing.assert_array_equal, state.sums, before.sums)


def _explodes_at(step: int) -> optax.GradientTransformation:
    return optax.sgd(lambda count: jnp.where(count == step, jnp.inf, 1e-3))


def test_keys_differ_by_stream_and_step() -> None:
    keys = [
        key_of(seed, stream, step)
        for seed in (0, 1)
        for stream in ("init", "augment", "window", "dropout")
        for step in (0, 1)
    ]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 16
    same = jax.jit(lambda step: key_of(1, "dropout", step))(jnp.int32(1))
    assert jax.random.key_data(same).tolist() == jax.random.key_data(keys[-1]).tolist()


def test_windows_and_dropout_are_functions_of_the_step(rng: np.random.Generator) -> None:
    split = clip_split(rng)
    dropout = {"recurrent_dropout": 0.3, "readout_dropout": 0.5}
    model = clip_model(axis_name=DATA_AXIS, **dropout)
    task = Classification(("dark", "bright"))
    init = make_init(model, ADAM, (3, 3, 4, 1), task.zeros(), use_ema=False)
    steps = {
        (seed, devices): make_train_steps(
            model,
            ADAM,
            create_mesh(devices),
            split.take,
            task,
            seed=seed,
            windows=Windows(3, 3),
        )
        for seed, devices in ((0, 2), (1, 2), (0, 1))
    }
    table = rng.integers(0, 30, (4, 8)).astype(np.int32)

    def run(seed: int, calls: list[int], devices: int = 2) -> TrainState:
        state, done = Replicas(range(1)).create_state(init, create_mesh(devices)), 0
        for count in calls:
            rows = np.roll(table, -done, axis=0)
            state, _ = steps[seed, devices](state, split.arrays, rows, np.int32(count))
            done += count
        return state

    whole = run(0, [4])
    jax.tree.map(np.testing.assert_array_equal, run(0, [1, 3]), whole)
    close = partial(np.testing.assert_allclose, atol=2e-4, rtol=2e-4)
    jax.tree.map(close, run(0, [4], devices=1).params, whole.params)
    other = run(1, [4])
    assert not np.array_equal(
        other.params["classifier"]["kernel"], whole.params["classifier"]["kernel"]
    )
