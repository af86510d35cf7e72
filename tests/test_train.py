"""The loop: what it leaves, how it resumes, what it starts from."""

import json
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision import train
from seqvision.errors import UserError
from seqvision.runs.records import read_record
from seqvision.runs.saved_run import load_run
from seqvision.runs.saved_states import SavedStates
from seqvision.train import train_and_evaluate
from tests.same_run import assert_same_run, interrupt_at, rows


@pytest.fixture(scope="module")
def _runs() -> dict[str, Path]:
    return {}


@pytest.fixture
def finished(
    small_config: ConfigDict, tmp_path_factory: pytest.TempPathFactory, _runs: dict[str, Path]
) -> Path:
    """`small_config` trained without an interruption, once for all tests of this file."""
    if "plain" not in _runs:
        workdir = tmp_path_factory.mktemp("runs") / "plain"
        assert train_and_evaluate(small_config, workdir).status == "done"
        _runs["plain"] = workdir
    return _runs["plain"]


def test_what_a_run_leaves(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "status.json",
        "checkpoints",
        "tensorboard",
    }
    table = [(row["step"], row["split"]) for row in rows(finished)]
    assert table == [
        (4, "validation"),
        (5, "train"),
        (8, "validation"),
        (10, "train"),
        (12, "train"),
        (12, "validation"),
        (12, "test"),
    ]
    counts = {(row["step"], row["split"]): row["count"] for row in rows(finished)}
    assert counts[5, "train"] == 5 * 64
    assert counts[12, "train"] == 2 * 64
    assert counts[12, "validation"] == 1000
    assert counts[12, "test"] == 10_000
    status = json.loads((finished / "status.json").read_text())
    assert (status["status"], status["step"]) == ("done", 12)
    assert status["metrics"]["test"]["accuracy"] == rows(finished)[-1]["accuracy"]
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["packages"]["jax"] == jax.__version__
    assert len(environment["data"]["fingerprints"]["train"]) == 64
    assert environment["data"]["background"] == "dark"
    config = json.loads((finished / "config.json").read_text())
    assert config["data"]["batch_size"] == 64


def test_tensorboard_events_hold_the_scalars(finished: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    scalars: dict[str, list[tuple[int, float]]] = {}
    for path in (finished / "tensorboard").iterdir():
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + length])
            content = content[12 + length + 4 :]
            for value in event.summary.value:
                scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
    expected = [row for row in rows(finished) if row["split"] == "validation"]
    assert [step for step, _ in scalars["validation/accuracy"]] == [4, 8, 12]
    np.testing.assert_allclose(
        [value for _, value in scalars["validation/accuracy"]],
        [row["accuracy"] for row in expected],
        rtol=1e-6,
    )
    assert scalars.keys() >= {"train/loss", "train/examples_per_second", "test/loss"}


def test_done_is_said_again_without_training(
    finished: Path,
    small_config: ConfigDict,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "_Training", refuse)
    before = rows(finished)
    result = train_and_evaluate(small_config, finished)
    assert result.status == "done"
    assert result.metrics["test"]["count"] == 10_000
    assert "this run is done after 12 steps" in capsys.readouterr().out
    assert rows(finished) == before


@pytest.mark.parametrize(("step", "number"), [(1, signal.SIGTERM), (5, signal.SIGINT)])
def test_a_signal_saves_and_the_rest_is_bit_identical(
    finished: Path,
    small_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    number: int,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, step, number)
        result = train_and_evaluate(small_config, tmp_path)
    assert (result.status, result.signal) == ("interrupted", number)
    assert json.loads((tmp_path / "status.json").read_text())["status"] == "interrupted"
    assert SavedStates(tmp_path).steps[-1] == result.step >= step
    assert train_and_evaluate(small_config, tmp_path).status == "done"
    assert_same_run(tmp_path, finished)


OTHER_CONFIGS: dict[str, dict[str, Any]] = {
    # The best so far and the patience left; a state without averages.
    "best": {
        "checkpoint.keep_best": True,
        "early_stopping.patience": 1,
        "evaluate_every": "1 steps",
        "model.sequence": "patches",
        "model.cell": "janet",
        "model.readout": "max",
        "model.compute_dtype": "bfloat16",
        "ema_decay": 0.0,
        "augment.max_shift": 0.0,
    },
    # Foreign weights, taken over once; a momentum; a learning rate of its own for every step.
    "warm": {
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.9,
        "schedule.name": "one_cycle",
        "schedule.warmup": "30 %",
        "data.validation_examples": 0,
    },
    # Everything random that a step draws; weights of many shapes.
    "columns, layers, dropout": {
        "model.sequence": "columns",
        "model.cell": "gru",
        "model.num_layers": 2,
        "model.dropout": 0.3,
        "model.recurrent_dropout": 0.2,
        "model.readout_dropout": 0.5,
        "model.readout": "per_step",
        "loss.step_weight": 0.5,
    },
    # Clips made as they are needed, cut at random.
    "frames": {
        "data.source": "moving_digits",
        "data.window": 3,
        "data.window_stride": 2,
        "data.eval_batch_size": 20,
        "clips.height": 30,
        "clips.width": 28,
        "clips.digit_size": 28,
        "clips.num_frames": 5,
        "clips.min_frames": 2,
        "clips.validation_clips": 40,
        "clips.test_clips": 41,
        "model.sequence": "frames",
        "model.cnn_channels": (2,),
        "model.gate_init": "uniform",
        "model.refine_gates": True,
    },
}


@pytest.mark.parametrize("name", OTHER_CONFIGS)
def test_other_configs_resume_bit_identically_too(
    request: pytest.FixtureRequest,
    tiny_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """What else could be lost or drawn anew; resumed with other saving habits."""
    is_tiny = name in ("best", "columns, layers, dropout")
    config = tiny_config if is_tiny else request.getfixturevalue("small_config")
    config.duration, config.ema_decay = "6 steps", 0.9
    config.log_every = "5 steps"
    config.update_from_flattened_dict(OTHER_CONFIGS[name])
    if name == "warm":
        config.init_from = str(request.getfixturevalue("finished"))
    whole = train_and_evaluate(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        train_and_evaluate(config, tmp_path / "cut")
    config.checkpoint.every, config.checkpoint.keep = "2 steps", 1
    resumed = train_and_evaluate(config, tmp_path / "cut")
    assert resumed == whole
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    environment = read_record(tmp_path / "cut" / "environment.json")
    assert len(environment["earlier"]) == 1


def test_a_torn_newest_checkpoint_costs_steps_but_no_bits(
    finished: Path,
    small_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 8)
        step = train_and_evaluate(small_config, tmp_path).step
    (tmp_path / "checkpoints" / str(step) / "state" / "manifest.ocdbt").write_bytes(b"torn")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "split": "tr')  # A line cut short by a kill.
    capsys.readouterr()
    train_and_evaluate(small_config, tmp_path)
    assert f"checkpoint {step} is torn" in capsys.readouterr().out
    assert_same_run(tmp_path, finished)


def test_another_config_is_refused_by_name(finished: Path, small_config: ConfigDict) -> None:
    small_config.optimizer.learning_rate = 0.5
    small_config.model.hidden_size = 17
    with pytest.raises(UserError) as error:
        train_and_evaluate(small_config, finished)
    assert "model.hidden_size was 16 and is 17" in str(error.value)
    assert "optimizer.learning_rate was 0.001 and is 0.5" in str(error.value)


def test_fields_that_change_no_weight_may_differ(finished: Path, small_config: ConfigDict) -> None:
    small_config.data.eval_batch_size = 77
    assert train_and_evaluate(small_config, finished).status == "done"


def test_starting_from_another_run(
    finished: Path,
    small_config: ConfigDict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small_config.init_from = str(finished)
    small_config.duration = "1 steps"
    small_config.optimizer.learning_rate = 1e-12
    train_and_evaluate(small_config, tmp_path)
    assert "taken over: 5 of 5 arrays" in capsys.readouterr().out
    source, copy = load_run(finished).params, load_run(tmp_path).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), source, copy)


def test_starting_from_another_network(
    finished: Path,
    small_config: ConfigDict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small_config.init_from = str(finished)
    small_config.duration = "1 steps"
    small_config.model.hidden_size = 8
    train_and_evaluate(small_config, tmp_path)
    said = capsys.readouterr().out
    assert "taken over: 1 of 5 arrays" in said  # The classifier's bias (10,).
    kernel = "recurrent/layer_0/cell/recurrent_kernel"
    assert f"kept as initialised: {kernel} ((16, 64) there, (8, 32) here)" in said


@pytest.mark.parametrize(
    ("optimizer", "schedule", "dtype"),
    [("adamw", "one_cycle", "float32"), ("rmsprop", "cosine", "bfloat16")],
)
def test_networks_learn(
    small_config: ConfigDict, tmp_path: Path, optimizer: str, schedule: str, dtype: str
) -> None:
    small_config.optimizer.name = optimizer
    small_config.optimizer.learning_rate = 1e-2
    small_config.optimizer.weight_decay = 1e-3
    small_config.optimizer.clip_norm = 1.0
    small_config.schedule.name = schedule
    small_config.schedule.warmup = "10 %"
    small_config.loss.label_smoothing = 0.05
    small_config.model.compute_dtype = dtype
    small_config.duration = "60 steps"
    small_config.evaluate_every = "never"
    small_config.checkpoint.every = "never"
    result = train_and_evaluate(small_config, tmp_path)
    assert result.metrics["test"]["accuracy"] > 0.3  # Chance is 0.1.
