"""Runs of several seeds: what they record, how they resume, evaluate and predict."""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.dataset import Dataset
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.explain import explanation
from seqvision.inference.predictor import Predictor
from seqvision.runs.saved_run import load_run, load_seeds
from seqvision.runs.warm_start import warm_start
from seqvision.tasks.metric_text import final_line
from seqvision.tasks.seed_metrics import SeedMetrics, row_of_seeds
from seqvision.train import train_and_evaluate
from seqvision.training.replicas import Replicas
from seqvision.training.state import TrainState
from tests.commands import main_here
from tests.same_run import assert_same_run, interrupt_at, rows
from tests.training.test_replicas import close, of_seed


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
