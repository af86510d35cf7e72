"""Several seeds at once: each is trained as it would be alone."""

import dataclasses
import functools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.preprocessing import Windows, shift_and_rotate
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.explain import explanation
from seqvision.inference.predictor import Predictor
from seqvision.models import create_model
from seqvision.models.cells.base import CellOptions
from seqvision.runs.saved_run import load_run, load_seeds
from seqvision.runs.warm_start import warm_start
from seqvision.runtime.mesh import DATA_AXIS, create_mesh, seeds_mesh, training_mesh
from seqvision.tasks.classification import Classification
from seqvision.tasks.metric_text import final_line
from seqvision.tasks.seed_metrics import SeedMetrics, row_of_seeds
from seqvision.train import train_and_evaluate
from seqvision.training.optimizer import create_optimizer
from seqvision.training.replicas import Replicas
from seqvision.training.state import TrainState, make_init
from seqvision.training.steps import make_train_steps
from tests.conftest import optimized
from tests.test_main import main_here
from tests.test_train import assert_same_run, interrupt_at, rows

close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)


def of_seed(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


# --- steps ---

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


# --- runs ---


@pytest.fixture(scope="module")
def _runs() -> dict[str, Path]:
    return {}


@pytest.fixture
def config(small_config: ConfigDict) -> ConfigDict:
    """Two seeds, with dropout."""
    small_config.update_from_flattened_dict(
        {
            "seed": 3,
            "num_seeds": 2,
            "duration": "6 steps",
            "evaluate_every": "4 steps",
            "log_every": "3 steps",
            "model.recurrent_dropout": 0.2,
        }
    )
    return small_config


@pytest.fixture
def finished(
    config: ConfigDict, tmp_path_factory: pytest.TempPathFactory, _runs: dict[str, Path]
) -> Path:
    """`config` trained without an interruption, once for all tests of this file."""
    if "both" not in _runs:
        workdir = tmp_path_factory.mktemp("runs") / "both"
        assert train_and_evaluate(config, workdir).status == "done"
        _runs["both"] = workdir
    return _runs["both"]


def test_a_run_records_what_each_seed_would_alone(
    finished: Path, config: ConfigDict, tmp_path: Path
) -> None:
    config.num_seeds = 1
    for index in range(2):
        config.seed = 3 + index
        train_and_evaluate(config, tmp_path / str(index))
    alone = [rows(tmp_path / str(index)) for index in range(2)]
    for row, *singles in zip(rows(finished), *alone, strict=True):
        names = set(singles[0])
        assert set(row) == names | {"std", "each"}
        for name in names - {"loss", "accuracy"}:
            assert row[name] == singles[0][name]
        values = [single["loss"] for single in singles]
        close(row["each"]["loss"], values)
        close(row["loss"], np.mean(values))
        close(row["std"]["loss"], np.std(values, ddof=1), rtol=1e-2)
        # A last digit may decide otherwise about a few examples.
        np.testing.assert_allclose(
            row["each"]["accuracy"], [single["accuracy"] for single in singles], atol=3e-3
        )


def test_resumed_bit_identically(
    finished: Path, config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        assert train_and_evaluate(config, tmp_path).status == "interrupted"
    other = config.copy_and_resolve_references()
    other.num_seeds = 3
    with pytest.raises(UserError, match="num_seeds was 2 and is 3"):
        train_and_evaluate(other, tmp_path)
    assert train_and_evaluate(config, tmp_path).status == "done"
    assert_same_run(tmp_path, finished)


def test_it_is_evaluated_as_a_whole_or_one_by_one(
    finished: Path, config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = json.loads((finished / "status.json").read_text())
    said = status["metrics"]["test"]
    config.num_seeds, config.seed = 1, 0  # The run knows.
    metrics = evaluate_run(config, str(finished), "test")
    assert isinstance(metrics, SeedMetrics)
    assert metrics.row() == said
    percent = [f"{100 * value:.2f}" for value in said["each"]["accuracy"]]
    mean, std = 100 * said["accuracy"], 100 * said["std"]["accuracy"]
    out = capsys.readouterr().out
    assert f"accuracy        {mean:.2f}% ± {std:.2f}\n" in out
    assert re.search(rf"^  4 .* {percent[1]}%$", out, re.MULTILINE)
    one = evaluate_run(config, finished, "test", str(tmp_path / "said.csv"), seed=4)
    assert one.row()["accuracy"] == said["each"]["accuracy"][1]
    with pytest.raises(UserError, match=r"holds seeds 3 to 4; .* choose it with --seed"):
        evaluate_run(config, finished, "test", str(tmp_path / "all.csv"))
    with pytest.raises(UserError, match=r"--seed: 5 is not there; .* holds seeds 3 to 4"):
        evaluate_run(config, finished, "test", seed=5)


def test_the_first_seed_predicts_unless_another_is_named(
    finished: Path, mnist: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    images = mnist.splits["test"].inputs[:2]
    runs = load_seeds(finished)
    assert [run.seed for run in runs] == [3, 4]
    assert [run.step for run in runs] == [6, 6]

    def probabilities(seed: int | None) -> list[np.ndarray]:
        predictor = Predictor.from_run(finished, seed=seed)
        return [prediction["probabilities"] for prediction in predictor(images)]

    for seed, run in ((None, runs[0]), (4, runs[1])):
        logits = run.model.apply({"params": run.params}, jnp.asarray(images, jnp.float32) / 255)
        np.testing.assert_allclose(probabilities(seed), jax.nn.softmax(logits), rtol=1e-4)
    assert "holds seeds 3 to 4; using the weights of seed 3" in capsys.readouterr().out


def test_starting_from_it_and_starting_several(finished: Path) -> None:
    source = load_run(finished, seed=3).params
    new = jax.tree.map(lambda leaf: jnp.zeros((5, *leaf.shape)), source)
    taken, lines = warm_start(new, finished, Replicas(range(5)))
    assert "taken over: 5 of 5 arrays" in lines[1]
    for index in (0, 4):
        jax.tree.map(np.testing.assert_array_equal, of_seed(taken, index), source)


def test_a_run_ends_where_one_seed_diverges_and_names_it(
    config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = Replicas.create_state

    def poisoned(*arguments: Any) -> TrainState:
        state = made(*arguments)
        params = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), state.params)
        return dataclasses.replace(state, params=params)

    monkeypatch.setattr(Replicas, "create_state", poisoned)
    result = train_and_evaluate(config, tmp_path)
    assert (result.status, result.step) == ("diverged", 0)
    assert "loss or gradient of seed 4 is not finite in step 1; there is no" in (
        capsys.readouterr().out
    )


def test_explained(config: ConfigDict, mnist: Dataset) -> None:
    several = "\n".join(explanation(validate(config), mnist))
    config.num_seeds = 1
    alone = "\n".join(explanation(validate(config), mnist))

    # Arrays and parameters of one network, FLOPs for one example.
    end = "memory of one training step"
    assert several[: several.index(end)] == alone[: alone.index(end)]
    assert f"{end} of 2 seeds, on 2 device(s):" in several


# --- words ---

ROWS = [
    {"loss": 0.25, "accuracy": 0.75, "count": 8},
    {"loss": 0.5, "accuracy": 0.5, "count": 8, "unfit": 1},
    {"loss": 0.75, "accuracy": 1.0, "count": 8},
]


def test_figures_by_hand() -> None:
    assert row_of_seeds(ROWS) == {
        "loss": 0.5,
        "accuracy": 0.75,
        "count": 8,
        "std": {"loss": 0.25, "accuracy": 0.25},
        "each": {"loss": [0.25, 0.5, 0.75], "accuracy": [0.75, 0.5, 1.0]},
    }
    assert final_line("test", row_of_seeds(ROWS)) == (
        "test accuracy 75.00% ± 25.00 (each 75.00, 50.00, 100.00), loss 0.5000 ± 0.2500, count 8"
    )
    overflown = row_of_seeds([ROWS[0], {**ROWS[1], "loss": math.inf}])
    assert overflown["loss"] == math.inf and math.isnan(overflown["std"]["loss"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_seeds": 0}, "config.num_seeds: 0 is out of range"),
        ({"num_seeds": 8, "seed": 2**31 - 7}, "8 seeds from 2147483641 on pass the largest one"),
        ({"num_seeds": 8, "model.execution": "cudnn"}, "cudnn runs one network at a time, not the"),
    ],
)
def test_bad_configs(small_config: ConfigDict, change: dict[str, Any], message: str) -> None:
    small_config.update_from_flattened_dict(change)
    with pytest.raises(UserError, match=message):
        validate(small_config)


@pytest.mark.parametrize("mode", ["train", "explain"])
def test_a_seed_of_no_trained_run(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    with pytest.raises(UserError, match="--seed: it has no effect with"):
        main_here(monkeypatch, "--config=configs/row_lstm.py", f"--mode={mode}", "--seed=1")
