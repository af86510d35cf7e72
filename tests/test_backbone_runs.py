"""Runs with a backbone, here a small one: frozen, fine-tuned, and through feature files."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import default
from seqvision.config.validation import validate
from seqvision.data.features.extraction import Extractor
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.features import write_features
from seqvision.inference.predictor import Predictor
from seqvision.models.backbones import BACKBONES, Architecture, Backbone, is_frozen
from seqvision.models.backbones.inverted import Block, InvertedNet
from seqvision.models.backbones.weights import load_backbone, save_backbone, shapes_of
from seqvision.models.parameters import named_leaves
from seqvision.report import write_report
from seqvision.runs.saved_run import load_run
from seqvision.train import train_and_evaluate

NAME = "mobilenet_v3_small"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Clips of 2 classes, and a backbone of 2 blocks and 6 features."""
    blocks = tuple(Block(stage, 3, 1, 4, 4, 0, "relu6") for stage in (1, 2))
    create = functools.partial(InvertedNet, blocks=blocks, stem=4, head=6)
    monkeypatch.setitem(BACKBONES, NAME, Architecture(create, 6, 3))
    shapes_of.cache_clear()
    init: Any = jax.jit(Backbone(NAME).init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    save_backbone(tmp_path / "weights.npz", init["params"])
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    parts = {}
    for split in ("train", "val", "test"):
        parts[f"{split}_images"] = rng.integers(0, 256, (24, 3, 32, 32, 1)).astype(np.uint8)
        parts[f"{split}_lengths"] = rng.integers(1, 4, 24)
        parts[f"{split}_labels"] = labels
    np.savez(tmp_path / "clips.npz", **parts)
    chosen = default.get_config()
    chosen.data.source, chosen.data.path = "npz", str(tmp_path / "clips.npz")
    chosen.data.batch_size, chosen.data.cache_dir = 8, str(tmp_path / "cache")
    chosen.model.sequence, chosen.model.hidden_size = "frames", 4
    chosen.model.recurrent_init, chosen.model.execution = "identity", "scan"
    chosen.model.backbone, chosen.model.backbone_weights = NAME, str(tmp_path / "weights.npz")
    chosen.optimizer.weight_decay, chosen.optimizer.name = 0.1, "adamw"
    chosen.duration = "2 steps"
    yield chosen
    shapes_of.cache_clear()


def test_frozen(config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_and_evaluate(config, tmp_path / "run")
    assert "sequence" not in load_run_state(tmp_path / "run")

    def start(self: Extractor, frames: Any) -> Any:
        raise AssertionError("features are computed again")

    with monkeypatch.context() as patch:
        patch.setattr(Extractor, "start", start)
        config.seed = 1
        train_and_evaluate(config, tmp_path / "other")
        config.seed = 0
        Path(config.model.backbone_weights).unlink()  # The run has its own.
        output = tmp_path / "rows.jsonl"
        metrics = evaluate_run(config, tmp_path / "run", "test", str(output))
    # From the clips themselves, through the backbone.
    with np.load(tmp_path / "clips.npz") as clips:
        pairs = zip(clips["test_images"], clips["test_lengths"], strict=True)
        inputs, labels = [clip[:length] for clip, length in pairs], clips["test_labels"]
    found = list(Predictor.from_run(tmp_path / "run")(inputs))
    losses = [-np.log(one["probabilities"][k]) for one, k in zip(found, labels, strict=True)]
    np.testing.assert_allclose(np.mean(losses), metrics.row()["loss"], rtol=1e-5)
    # The report looks at the same predictions, and corruptions are of pictures.
    run, rows = tmp_path / "run", [json.loads(line) for line in output.read_text().splitlines()]
    page = write_report(run, tmp_path / "page.html").read_text()
    wrong = sum(row["label"] != row["truth"] for row in rows)
    assert len(re.findall("taken for [01], is [01]", page)) >= min(wrong, 6)
    assert "a column of features for each frame" in page
    with pytest.raises(UserError, match="reads features of a frozen mobilenet_v3_small"):
        evaluate_run(config, run, "test", corrupt="all")


def test_what_training_refuses_is_said_before_features_are_computed(
    config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extractor, "start", lambda *_: pytest.fail("features are computed"))
    config.duration, config.schedule.warmup = "1 epochs", "3 steps"
    config.schedule.name = "one_cycle"
    with pytest.raises(UserError, match="3 steps of warm-up do not fit the 3 steps"):
        train_and_evaluate(config, tmp_path / "run")


def load_run_state(workdir: Path) -> set[str]:
    """The parts of the network that the checkpoints hold."""
    [*_, newest] = sorted((workdir / "checkpoints").iterdir())
    names = {path.name for path in newest.rglob("*")}
    return {part for part in ("sequence", "recurrent") for name in names if part in name}


def test_fine_tuned(config: ConfigDict, tmp_path: Path) -> None:
    config.model.backbone_trainable = "last_stage"
    train_and_evaluate(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    before = dict(named_leaves(load_backbone(Path(config.model.backbone_weights), NAME)))
    for name, array in named_leaves(run.params["sequence"]["backbone"]):
        same = bool(np.array_equal(array, before[name]))
        assert same == is_frozen(NAME, "last_stage", name), name


def test_feature_files(config: ConfigDict, tmp_path: Path) -> None:
    assert write_features(validate(config), "", str(tmp_path / "features")) == 0
    files = sorted((tmp_path / "features").rglob("*.npy"))
    assert len(files) == 72
    with np.load(tmp_path / "clips.npz") as clips:
        clip = clips["val_images"][5][: clips["val_lengths"][5]]
    params = load_backbone(Path(config.model.backbone_weights), NAME)
    frames = jnp.asarray(clip, jnp.float32) / 255
    expected = Backbone(NAME).apply({"params": params}, frames)
    [file] = (tmp_path / "features" / "validation" / "1").glob("000005*.npy")
    np.testing.assert_allclose(np.load(file), expected, rtol=1e-4, atol=1e-6)

    config.data.source, config.data.path = "features", str(tmp_path / "features")
    config.model.sequence, config.model.backbone, config.model.backbone_weights = (
        "features", "none", "")  # fmt: skip
    train_and_evaluate(config, tmp_path / "run")
    assert "a column of features" in write_report(tmp_path / "run").read_text()
    with pytest.raises(UserError, match="reads features of other tools"):
        evaluate_run(config, tmp_path / "run", "test", corrupt="all")
    predictor = Predictor.from_run(tmp_path / "run")
    [one] = predictor([np.load(file)])
    [read] = predictor.read_files([file], "never")
    [other] = predictor([read.array])
    np.testing.assert_array_equal(one["probabilities"], other["probabilities"])
    with pytest.raises(ValueError, match="5 features of each frame, and others have 6"):
        list(predictor([np.zeros((2, 5), np.float32)]))


@pytest.mark.parametrize(("field", "value", "words"), [
    ("model.backbone_weights", "", "it is empty; name a file"),
    ("model.sequence", "rows", "choose frames, or none"),
    ("augment.max_shift", 1.0, "no effect with a frozen backbone"),
    ("model.cnn_per_frame", True, "no effect with config.model.backbone"),
    ("model.backbone", "none", "no effect without config.model.backbone"),
    ("model.sequence", "features", "choose features for both, or for neither"),
    ("data.path", "", "it is empty"),
])  # fmt: skip
def test_rules(config: ConfigDict, field: str, value: Any, words: str) -> None:
    section, name = field.split(".")
    config[section][name] = value
    with pytest.raises(UserError) as refusal:
        validate(config)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
