"""Several seeds at once: each is trained as it would be alone."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.data.dataset import ArraySplit
from seqvision.data.preprocessing import Windows, shift_and_rotate
from seqvision.models import create_model
from seqvision.models.cells.base import CellOptions
from seqvision.runtime.mesh import DATA_AXIS, create_mesh, seeds_mesh, training_mesh
from seqvision.tasks.classification import Classification
from seqvision.training.optimizer import create_optimizer
from seqvision.training.replicas import Replicas
from seqvision.training.state import TrainState, make_init
from seqvision.training.steps import make_train_steps
from tests.conftest import optimized

close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)


def of_seed(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


FIRST, BATCH, NUM_CLIPS, NUM_STEPS = 7, 8, 40, 3
CLASSIFICATION = Classification(tuple(map(str, range(NUM_CLIPS))))


@functools.cache
def clips() -> ArraySplit:
    """Each clip is a class of its own, so that counts by class say which clips were read."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (NUM_CLIPS, 5, 6, 6, 1)).astype(np.uint8)
    lengths = rng.integers(2, 6, NUM_CLIPS).astype(np.int32)
    return ArraySplit(inputs, np.arange(NUM_CLIPS, dtype=np.int32), lengths)


Steps = Callable[[TrainState, int, int], tuple[TrainState, Any]]


@functools.cache
def training(seed: int, num_seeds: int, together: bool = False) -> tuple[Callable[[], Any], Steps]:
    """The state before the first step, and steps with all that is random in training."""
    mesh = create_mesh() if num_seeds == 1 else seeds_mesh(num_seeds)
    replicas = Replicas(range(seed, seed + num_seeds))
    model = create_model(
        num_classes=NUM_CLIPS,
        sequence="frames",
        cnn_channels=(2,),
        hidden_size=4,
        recurrent_dropout=0.2,
        readout_dropout=0.3,
        execution="fused",
        options=CellOptions(recurrent_init="identity"),
        axis_name=DATA_AXIS,
    )
    optimizer = create_optimizer("adam", 1e-2, clip_norm=1.0)
    init = make_init(model, optimizer, (3, 6, 6, 1), CLASSIFICATION.zeros(), use_ema=True)
    train_steps = make_train_steps(
        model,
        optimizer,
        mesh,
        ArraySplit.take,
        CLASSIFICATION,
        seed=seed,
        ema_decay=0.5,
        augment=functools.partial(shift_and_rotate, max_shift=1.0, max_rotation=5.0),
        windows=Windows(3, 1),
        seeds_together=together,
    )

    def steps(state: TrainState, start: int, num_steps: int) -> tuple[TrainState, Any]:
        table = replicas.index_table(NUM_CLIPS, start, NUM_STEPS, BATCH)
        return train_steps(state, clips().arrays, table, np.int32(num_steps))

    def new() -> TrainState:
        with optimized():  # Without, several seeds begin with other last digits than one alone.
            return replicas.create_state(init, mesh)

    return new, steps


@functools.cache
def states(seed: int, num_seeds: int, together: bool = False) -> list[TrainState]:
    """The states before and after each step."""
    new, steps = training(seed, num_seeds, together)
    state = new()
    found = [jax.device_get(state)]
    for step in range(NUM_STEPS):
        state, finite = steps(state, step, 1)
        assert np.all(finite)
        found.append(jax.device_get(state))
    return found


@pytest.mark.parametrize(("num_seeds", "together"), [(2, False), (3, True)])
def test_each_seed_trains_as_it_would_alone(num_seeds: int, together: bool) -> None:
    """Two seeds have a device each; three share the batches of both devices."""
    several = states(FIRST, num_seeds, together)
    for index in range(2):
        alone = states(FIRST + index, 1)
        own = [of_seed(state, index) for state in several]
        # It begins with the same bits, and reads the same clips at each step.
        jax.tree.map(np.testing.assert_array_equal, own[0], alone[0])
        for mine, other in zip(own, alone, strict=True):
            np.testing.assert_array_equal(mine.sums.count, other.sums.count)
            close(mine.sums.loss, other.sums.loss)
            assert mine.step == other.step
        jax.tree.map(close, own[-1].params, alone[-1].params)
        jax.tree.map(close, own[-1].ema_params, alone[-1].ema_params)
    assert (several[1].sums.count[0] != several[1].sums.count[1]).any()


@pytest.mark.parametrize("together", [False, True])
def test_a_seed_that_is_not_finite_stops_and_the_others_go_on(together: bool) -> None:
    new, steps = training(FIRST, 2, together)
    state = new()
    poisoned = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), state.params)
    state, finite = steps(dataclasses.replace(state, params=poisoned), 0, NUM_STEPS)
    assert np.asarray(finite).tolist() == [True, False]
    assert np.asarray(state.step).tolist() == [NUM_STEPS, 0]
    assert state.num_steps == 0
    assert np.asarray(state.sums.count[1]).sum() == 0
    # Nor does it matter that all were taken in one call.
    whole = of_seed(states(FIRST, 2, together)[-1], 0)
    jax.tree.map(np.testing.assert_array_equal, of_seed(jax.device_get(state), 0), whole)


@pytest.mark.parametrize(
    ("num_seeds", "batch_size", "shape"),
    [(2, 8, (2, 1)), (4, 7, (2, 1)), (3, 8, (1, 2)), (3, 7, (1, 1))],
)
def test_devices_share_the_seeds_or_else_their_batches(
    num_seeds: int, batch_size: int, shape: tuple[int, int]
) -> None:
    mesh = training_mesh(batch_size, num_seeds)
    assert mesh.axis_names == ("seed", "data")
    assert mesh.devices.shape == shape


CELLS: dict[str, dict[str, Any]] = {
    "lstm, fused, both directions": {"execution": "fused", "bidirectional": True},
    "gru, scan": {"cell": "gru", "execution": "scan", "options": CellOptions(refine_gates=True)},
    "layer_norm_lstm": {"cell": "layer_norm_lstm"},
    "min_lstm": {"cell": "min_lstm", "readout": "attention"},
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_the_same_in_one_step_of_all_seeds(name: str, rng: np.random.Generator) -> None:
    """Values and gradients under `jax.vmap`, of sequences that end at different steps."""
    model = create_model(
        num_classes=3, sequence="frames", cnn_channels=(2,), hidden_size=4, **CELLS[name]
    )
    inputs = jnp.asarray(rng.uniform(size=(2, 3, 5, 4, 4, 1)), jnp.float32)
    lengths = jnp.array([[5, 1, 3], [2, 4, 5]], jnp.int32)
    init = jax.jit(model.init)
    each = [init(jax.random.key(seed), inputs[0], lengths[0]) for seed in range(2)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

    def loss(params: Any, inputs: Any, lengths: Any) -> Any:
        logits: Any = model.apply(params, inputs, lengths)
        return (logits**2).sum(), logits

    step = jax.value_and_grad(loss, has_aux=True)

    @jax.jit
    def both(params: Any) -> Any:
        alone = [step(*of_seed((params, inputs, lengths), index)) for index in range(2)]
        return jax.vmap(step)(params, inputs, lengths), alone

    together, alone = both(params)
    for index in range(2):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
            of_seed(together, index),
            alone[index],
        )
