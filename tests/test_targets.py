"""Runs with other targets than one class, from training to prediction."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sklearn.metrics as sklearn_metrics
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from seqvision import (
    Predictor,
    StreamClassifier,
    evaluate_run,
    train_and_evaluate,
    write_report,
)
from seqvision.config.validation import validate
from seqvision.data.class_balance import balanced_draws
from seqvision.data.dataset import ArraySplit
from seqvision.data.from_config import load_dataset
from seqvision.data.preprocessing import Windows
from seqvision.errors import UserError
from seqvision.export import export_run, export_weights
from seqvision.predict import predict_files
from seqvision.read import read_files
from seqvision.runtime.mesh import create_mesh, shard_function
from seqvision.tasks.classification_metrics import ClassificationMetrics
from seqvision.tasks.scored import ScoredMetrics
from seqvision.tasks.step_classification import StepClassification
from seqvision.training.replicas import Replicas
from seqvision.training.state import make_init
from seqvision.training.steps import TrainStep, make_train_steps
from tests.exporters.test_card import answers
from tests.reports.target_pages import check_label_page, check_number_page, check_step_page

NAMES = ("dark", "grey", "light")
NUM, FRAMES, SIDE = 90, 5, 6


def clips() -> dict[str, np.ndarray]:
    """Clips whose frames are as bright as their classes, some of which are unknown."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, FRAMES + 1, NUM)
    classes = rng.choice(3, (NUM, FRAMES), p=(0.6, 0.3, 0.1))
    noise = rng.integers(0, 90, (NUM, FRAMES, SIDE, SIDE))
    real = np.arange(FRAMES) < lengths[:, None]
    targets = np.where(real & (rng.random(real.shape) < 0.8), classes, -1)
    images = (noise + 50 * classes[..., None, None]).astype(np.uint8)
    return {"images": images, "targets": targets, "lengths": lengths}


def small(tiny_config: ConfigDict, path: Path) -> ConfigDict:
    config = tiny_config
    config.data.path = str(path)
    config.augment.max_shift = 0.0
    config.optimizer.learning_rate = 3e-2
    config.evaluate_every = "6 steps"
    config.checkpoint.every = "never"
    return config


@pytest.fixture(scope="module")
def step_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("steps") / "steps.npz"
    groups = np.arange(NUM) // 2
    np.savez(path, **clips(), class_names=np.array(NAMES), groups=groups)
    return path


def step_config(tiny_config: ConfigDict, step_set: Path) -> ConfigDict:
    config = small(tiny_config, step_set)
    config.model.sequence = "frames"
    config.model.cnn_channels = (2,)
    config.model.readout = "per_step"
    config.loss.class_weights = "balanced"
    config.checkpoint.keep_best = True
    return config


def test_a_class_for_every_frame(
    tiny_config: ConfigDict,
    step_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, workdir = step_config(tiny_config, step_set), tmp_path / "run"
    result = train_and_evaluate(config, workdir)
    assert {"map", "auc", "loss", "accuracy", "count"} <= set(result.metrics["test"])
    assert "a class for each frame, of 3" in capsys.readouterr().out
    rows_file = tmp_path / "rows.jsonl"
    evaluate_run(config, workdir, "test", str(rows_file), calibrate=True, bootstrap=20)
    printed = capsys.readouterr().out
    assert "mean sensitivity at 90% specificity" in printed and "20 samples of" in printed
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
    report = json.loads((workdir / "evaluation_test.json").read_text())

    # The metrics again, from the written rows, by scikit-learn.
    pairs = [
        (NAMES.index(name), p)
        for row in rows
        for name, p in zip(row["truth"], row["probabilities"], strict=True)
        if name is not None
    ]
    truth, probabilities = np.array([t for t, _ in pairs]), np.array([p for _, p in pairs])
    assert (report["count"], report["changes"]) == (len(pairs), {})
    one_hot = np.eye(3)[truth]
    expected = {
        "accuracy": (probabilities.argmax(axis=1) == truth).mean(),
        "map": sklearn_metrics.average_precision_score(one_hot, probabilities),
        "auc": sklearn_metrics.roc_auc_score(one_hot, probabilities),
    }
    for name, value in expected.items():
        assert report["metrics"][name] == pytest.approx(value, abs=2e-3), name
        low, high = report["intervals"][name]
        assert low <= report["metrics"][name] <= high
    assert report["calibration"]["loss_calibrated"] <= report["calibration"]["loss"] * 1.1
    check_step_page(write_report(workdir).read_text(), rows, NAMES)

    # Prediction, plain and at the temperature; and live, frame by frame.
    dataset = load_dataset(validate(config), lambda line: None)
    split = dataset.splits["test"]
    assert isinstance(split, ArraySplit) and split.lengths is not None
    own = [clip[:n] for clip, n in zip(split.inputs, split.lengths.tolist(), strict=True)]
    found = list(Predictor.from_run(workdir)(own))
    for prediction, row in zip(found, rows, strict=True):
        np.testing.assert_allclose(prediction["probabilities"], row["probabilities"], atol=1e-5)
    temperature = json.loads((workdir / "calibration.json").read_text())["temperature"]
    calibrated = list(Predictor.from_run(workdir, calibrated=True)(own))
    power = found[0]["probabilities"] ** (1 / temperature)
    expected_power = power / power.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(calibrated[0]["probabilities"], expected_power, rtol=1e-5)
    live = StreamClassifier.from_run(workdir)
    beliefs = live.push(own[0])
    beliefs_live = np.array([belief.probabilities for belief in beliefs])
    np.testing.assert_allclose(beliefs_live, found[0]["probabilities"], atol=1e-5)
    assert not any(belief.decided for belief in [*beliefs, *live.finish()])

    # Modes of one class refuse it, in one line.
    for refused in (
        lambda: StreamClassifier.from_run(workdir, rule="probability:0.9"),
        lambda: evaluate_run(config, workdir, "test", decide="probability"),
        lambda: export_run(workdir, str(tmp_path / "out"), onnxruntime_web=str(tmp_path)),
        lambda: export_weights(workdir, str(tmp_path / "out"), "torch"),
    ):
        with pytest.raises(UserError, match="predicts classes for each frame"):
            refused()
    folder, text = exported(workdir, tmp_path, "map", result.metrics["test"]["map"])
    assert "softmax of the logits of a frame" in text
    monkeypatch.chdir(folder)
    for clip, row in zip(own[:3], rows, strict=False):
        # The whole network, then its step, a few frames at a time, by the code of the card.
        assert answers(text, clip[None], "answer") == [row["label"]] * 2
    source = tmp_path / "one.npz"
    np.savez(source, images=own[0][None])
    capsys.readouterr()
    assert read_files(workdir, str(source), "auto") == 0
    printed = capsys.readouterr().out
    assert f"frame {len(own[0]):>5}" in printed and "decided" not in printed


def exported(
    workdir: Path, tmp_path: Path, metric: str, value: float, seed: int | None = None
) -> tuple[Path, str]:
    """The folder of an export whose check shows this metric of the test split, and its card."""
    pytest.importorskip("onnxruntime")
    folder, rows = export_run(workdir, str(tmp_path / "exported"), int8=False, seed=seed)
    assert [row.name for row in rows] == ["network.onnx", "step.onnx", "network.stablehlo"]
    for row in rows:
        assert row.found.score == pytest.approx(value, rel=1e-4) and not row.found.num_differing
    text = (folder / "README.md").read_text()
    assert f"where JAX has {metric} {value:{'.2%' if metric == 'map' else '.4g'}}." in text
    return folder, text


def test_several_labels_at_once(
    tiny_config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (NUM, 2))
    images = rng.integers(0, 90, (NUM, SIDE, SIDE)) + 80 * np.repeat(labels, 3, axis=1)[:, None]
    np.savez(
        tmp_path / "set.npz",
        images=images.astype(np.uint8),
        labels=np.where(rng.random(labels.shape) < 0.1, np.nan, labels),
        class_names=np.array(["left", "right"]),
    )
    config, workdir = small(tiny_config, tmp_path / "set.npz"), tmp_path / "run"
    config.duration = "40 steps"
    config.evaluate_every = "never"
    config.loss.class_weights = "balanced"
    result = train_and_evaluate(config, workdir)
    assert result.metrics["test"]["auc"] > 0.95
    with pytest.raises(UserError, match="no temperature was fitted to this run yet"):
        Predictor.from_run(workdir, calibrated=True)
    split = load_dataset(validate(config), lambda line: None).splits["test"]
    assert isinstance(split, ArraySplit)
    rows_file, names = tmp_path / "rows.jsonl", ("left", "right")
    evaluate_run(config, workdir, "test", str(rows_file))
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
    truths = np.where(split.labels < 0, np.nan, split.labels)
    for row, truth in zip(rows, split.labels, strict=True):
        said = [row["truth"].count(n) - row["unknown"].count(n) for n in names]
        assert said == truth.tolist()  # 1, 0, or -1 where it is unknown.
    check_label_page(write_report(workdir).read_text(), rows, names, truths)
    np.savez(tmp_path / "some.npz", images=images[:3].astype(np.uint8))
    output = tmp_path / "rows.csv"
    assert predict_files(workdir, str(tmp_path / "some.npz"), str(output), "auto") == 0
    [first, *_] = Predictor.from_run(workdir)(images[:1].astype(np.uint8)[..., None])
    line = output.read_text().splitlines()[1]
    chosen = [name for name, p in zip(names, first["probabilities"], strict=True) if p >= 0.5]
    assert json.dumps(chosen).replace('"', '""') in line
    live = StreamClassifier.from_run(workdir)
    live.push(images[0, :2].astype(np.uint8))
    again = StreamClassifier.from_run(workdir)
    again.restore(live.save())
    *_, last = again.push(images[0, 2:].astype(np.uint8))
    np.testing.assert_allclose(last.probabilities, first["probabilities"], atol=1e-5)
    assert last.decision is None and not again.finish()[0].decided
    with pytest.raises(UserError, match="predicts labels, any of them at once, and --mode=read"):
        read_files(workdir, str(tmp_path / "some.npz"), "auto")
    folder, text = exported(workdir, tmp_path, "map", result.metrics["test"]["map"])
    assert "sigmoid of each logit" in text
    monkeypatch.chdir(folder)
    assert answers(text, images[:1].astype(np.uint8)[..., None], "answer") == [chosen] * 2


def test_numbers_of_several_seeds(
    tiny_config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    numbers = rng.normal(500, 40, NUM)
    grey = 128 + (numbers - 500)[:, None, None] + rng.normal(0, 5, (NUM, SIDE, SIDE))
    images = grey.clip(0, 255).astype(np.uint8)
    numbers[:5] = np.nan
    np.savez(tmp_path / "set.npz", images=images, labels=numbers)
    config, workdir = small(tiny_config, tmp_path / "set.npz"), tmp_path / "run"
    config.num_seeds = 2
    config.duration = "40 steps"
    config.evaluate_every = "20 steps"
    result = train_and_evaluate(config, workdir)
    assert len(result.metrics["test"]["each"]["mae"]) == 2
    assert result.metrics["test"]["r2"] > 0.5
    metrics = evaluate_run(config, workdir, "validation", seed=1).row()
    report = json.loads((workdir / "evaluation_validation_seed_1.json").read_text())
    assert report["metrics"]["mae"] == pytest.approx(metrics["mae"])
    predictor = Predictor.from_run(workdir, seed=1)
    split = load_dataset(validate(config), lambda line: None).splits["validation"]
    assert isinstance(split, ArraySplit)
    values = np.array([one["value"] for one in predictor(split.inputs)])
    known = np.isfinite(split.labels)
    assert metrics["mae"] == pytest.approx(np.abs(values - split.labels)[known].mean(), rel=1e-5)
    live = StreamClassifier.from_run(workdir, seed=1)
    live.push(split.inputs[0, :, :, 0])
    [last] = live.finish()
    assert last.value == pytest.approx(values[0], rel=1e-5) and last.probabilities.tolist() == [1]
    mae = result.metrics["test"]["each"]["mae"][1]
    folder, text = exported(workdir, tmp_path, "mae", mae, seed=1)
    monkeypatch.chdir(folder)
    for answer in answers(text, split.inputs[:1], "answer"):
        assert answer == pytest.approx(values[0], rel=1e-5)
    page = write_report(workdir, split="validation", seed=1).read_text()
    check_number_page(page, split.labels.astype(np.float64), values)
    with pytest.raises(UserError, match="and corruptions are for runs that choose classes"):
        evaluate_run(config, workdir, "test", seed=1, corrupt="all")
    with pytest.raises(UserError, match="predicts numbers; leave it out"):
        evaluate_run(config, workdir, "test", seed=1, calibrate=True)
    with pytest.raises(UserError, match="predicts numbers, which have no probabilities"):
        Predictor.from_run(workdir, seed=1, calibrated=True)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"model.readout": "last"}, ["'last' gives one prediction", "choose per_step"]),
        ({"loss.step_weight": 0.5}, ["config.loss.step_weight", "a class for every frame"]),
        ({"data.balanced_draws": True, "loss.class_weights": "none"}, ["class_weights=balanced"]),
        ({"checkpoint.best_metric": "mae"}, ["'mae' is no metric here", "auc"]),
        ({"data.target": "class"}, ["several labels for an example"]),
    ],
)
def test_fields_that_do_not_fit_the_targets_are_one_line(
    tiny_config: ConfigDict, step_set: Path, change: dict[str, Any], parts: list[str]
) -> None:
    config = step_config(tiny_config, step_set)
    config.update_from_flattened_dict(change)
    with pytest.raises(UserError) as error:
        load_dataset(validate(config), lambda line: None)
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_weights_are_compared_by_the_metric_that_is_asked_for() -> None:
    metrics = ClassificationMetrics(loss=0.5, accuracy=0.75, count=4, class_accuracy=(0.5, 1.0))
    assert metrics.score == 0.75
    assert dataclasses.replace(metrics, metric="loss").score == -0.5
    values = {"auc": 0.8, "map": None, "accuracy": 0.75}
    by_auc = dataclasses.replace(metrics, metric="auc", values=values)
    assert by_auc.score == 0.8
    assert by_auc.row() == {"auc": 0.8, "loss": 0.5, "accuracy": 0.75, "count": 4}
    with pytest.raises(UserError, match="best_metric: map is undefined"):
        _ = dataclasses.replace(by_auc, metric="map").score
    assert ScoredMetrics({"rmse": 2.0}, 3, "rmse").score == -2.0


def test_each_seed_draws_balanced_examples_of_its_own() -> None:
    labels = np.array([0] * 9 + [1])
    table = Replicas(range(3, 5)).index_table(10, 2, 4, 6, balanced_draws(labels, 2))
    assert table.shape == (2, 4, 6)
    np.testing.assert_array_equal((labels[table] == 1).sum(axis=-1), 3)
    np.testing.assert_array_equal(table[1].reshape(-1), balanced_draws(labels, 2)(4, 12, 24))


class EveryFrame(nn.Module):
    """A network as small as can be: a dense layer on every frame."""

    @nn.compact
    def __call__(self, inputs: Any, lengths: Any = None, *, train: bool = False) -> Any:
        return nn.Dense(3)(inputs.reshape(*inputs.shape[:2], -1))


def test_devices_share_a_batch_whose_targets_are_unevenly_known() -> None:
    content = clips()
    targets = content["targets"].astype(np.int32)
    targets[:4] = -1  # The first device's part of the first batch has nothing to learn from.
    targets[0, 0] = 1
    inputs = content["images"][..., None]
    split = ArraySplit(inputs, targets, content["lengths"].astype(np.int32))
    task, optimizer = StepClassification(NAMES), optax.sgd(0.5)
    model = EveryFrame()
    params = []
    for devices in (1, 2):
        mesh = create_mesh(devices)
        state = make_init(model, optimizer, inputs.shape[1:], task.zeros(), use_ema=False)(0)
        kernel = np.array(state.params["Dense_0"]["kernel"], np.float64)
        steps = make_train_steps(model, optimizer, mesh, split.take, task, seed=0)
        indices = np.arange(8, dtype=np.int32).reshape(1, 8)
        state, finite = steps(state, split.arrays, indices, np.int32(1))
        assert bool(finite)
        params.append(np.asarray(state.params["Dense_0"]["kernel"]))
    # One step of gradient descent by hand: all known frames of the batch count alike.
    known = targets[:8] >= 0
    frames = inputs[:8].reshape(8, FRAMES, -1)[known] / 255
    logits = frames @ kernel
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = frames.T @ (probabilities - np.eye(3)[targets[:8][known]]) / known.sum()
    for found in params:
        np.testing.assert_allclose(found, kernel - 0.5 * gradient, atol=1e-5)


def test_windows_take_the_targets_of_their_frames() -> None:
    targets = np.arange(40, dtype=np.int32).reshape(4, 10)
    inputs = np.broadcast_to(targets[..., None, None, None], (4, 10, 2, 2, 1)).astype(np.uint8)
    lengths = jnp.array([10, 7, 3, 10], jnp.int32)
    batch = {"inputs": jnp.asarray(inputs), "labels": jnp.asarray(targets), "lengths": lengths}
    task = StepClassification(NAMES)
    step = TrainStep(EveryFrame(), optax.sgd(0.1), task, 1, 0.0, None, Windows(4, 4))

    def prepared(batch: Any) -> Any:
        return step._prepared(0, jnp.zeros((), jnp.int32), batch)

    everywhere = PartitionSpec()
    in_one = shard_function(prepared, create_mesh(1), (everywhere,), everywhere)
    found = jax.jit(in_one)(batch)
    assert found["labels"].shape == (4, 4)
    shown = np.round(np.asarray(found["inputs"])[..., 0, 0, 0] * 255)
    np.testing.assert_array_equal(shown, found["labels"])
    starts = np.asarray(found["labels"])[:, 0] - targets[:, 0]
    assert starts[2] == 0 and starts.any()
