"""The configs `estimator`: CNNs without a border, and one for each frame, from data to export."""

import importlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.inference.predictor import Predictor
from seqvision.predict import predict_files
from seqvision.tasks.from_config import create_network, create_task
from seqvision.train import train_and_evaluate

CLASSES = ("even", "odd")


def save_set(path: Path, shape: tuple[int, ...], **arrays: Any) -> Path:
    """40 inputs of noise, `odd` ones brighter."""
    labels = np.arange(40) % 2
    noise = np.random.default_rng(0).integers(0, 120, (40, *shape))
    light = 100 * labels.reshape(-1, *[1] * len(shape))
    images = (noise + light).astype(np.uint8)
    np.savez(path, images=images, labels=labels, class_names=np.array(CLASSES), **arrays)
    return path


def config_of(name: str, path: Path, kind: str) -> ConfigDict:
    """The config `estimator`, small, on a set of one's own."""
    config: ConfigDict = importlib.import_module(f"configs.{name}").get_config("estimator")
    config.data.source, config.data.path, config.data.kind = "npz", str(path), kind
    config.data.batch_size, config.data.eval_batch_size = 8, 8
    config.data.validation_fraction = config.data.test_fraction = 0.2
    config.model.cnn_channels, config.model.hidden_size = (8,), 8
    config.model.execution, config.model.recurrent_init = "scan", "identity"
    config.optimizer.learning_rate = 1e-2
    config.duration, config.log_every = "40 steps", "20 steps"
    config.evaluate_every = config.checkpoint.every = "never"
    return config


@pytest.mark.parametrize(
    ("name", "shape", "kernels"),
    [
        ("cnn_lstm", (28, 28, 3), [(3, 3, 3, 32), (3, 3, 32, 64)]),
        ("frame_lstm", (5, 28, 28, 1), [(5, 3, 3, 1, 32), (5, 3, 3, 32, 64)]),
    ],
)
def test_the_networks_are_those_of_the_checkpoints(
    name: str, shape: tuple[int, ...], kernels: list[tuple[int, ...]]
) -> None:
    """Shapes of `conv2d/kernel`, ... and of `rnn/lstm_cell/kernel`, which has 1600 + units rows."""
    settings = validate(importlib.import_module(f"configs.{name}").get_config("estimator"))
    assert (settings.data.batch_size, settings.optimizer.learning_rate) == (32, 1e-3)
    model = create_network(settings, create_task(settings, tuple("0123456789")))
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, *shape), np.float32))
    params = shapes["params"]
    found = [params["sequence"]["cnn"][f"block_{n}"]["conv"]["kernel"].shape for n in range(2)]
    assert found == kernels
    assert params["recurrent"]["layer_0"]["cell"]["input_kernel"].shape == (1600, 4 * 64)


def test_images_train(tmp_path: Path) -> None:
    config = config_of("cnn_lstm", save_set(tmp_path / "set.npz", (11, 13, 1)), "images")
    check_training(config, tmp_path / "run")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[ConfigDict, Path]:
    """A run on clips of 3 frames, checked."""
    home = tmp_path_factory.mktemp("clips")
    config = config_of("frame_lstm", save_set(home / "set.npz", (3, 11, 13, 1)), "clips")
    check_training(config, home / "run")
    return config, home / "run"


def check_training(config: ConfigDict, workdir: Path) -> None:
    """Light and dark are soon told apart."""
    result = train_and_evaluate(config, workdir)
    assert result.status == "done" and result.metrics["test"]["accuracy"] > 0.9


def test_clips_of_another_length_are_named(clips: tuple[ConfigDict, Path], tmp_path: Path) -> None:
    _, workdir = clips
    predictor = Predictor.from_run(workdir)
    assert len(list(predictor(np.zeros((5, 3, 11, 13), np.uint8)))) == 5
    message = "a clip of 4 frames; this run reads clips of 3 (config.model.cnn_per_frame)"
    with pytest.raises(ValueError, match="a clip of 2 frames; this run reads clips of 3"):
        list(predictor(np.zeros((1, 2, 11, 13), np.uint8)))
    np.savez(tmp_path / "longer.npz", images=np.zeros((1, 4, 11, 13, 1), np.uint8))
    output = tmp_path / "out.jsonl"
    assert predict_files(workdir, str(tmp_path / "longer.npz"), str(output), "never") == 1
    assert json.loads(output.read_text())["error"] == message


@pytest.mark.parametrize("resident_bytes", [10**9, 1])
def test_sets_of_clips_of_many_lengths(tmp_path: Path, resident_bytes: int) -> None:
    lengths = np.array([3, 2] * 20)
    path = save_set(tmp_path / "set.npz", (3, 11, 13, 1), lengths=lengths)
    config = config_of("frame_lstm", path, "clips")
    config.data.resident_bytes = resident_bytes
    with pytest.raises(UserError, match="needs 3 frames of each clip, and clips of set have 2 to"):
        load_dataset(validate(config))
    config.data.window = 2
    assert load_dataset(validate(config)).is_streamed == (resident_bytes == 1)
    config.data.window = 4
    with pytest.raises(
        UserError, match=r"needs 4 frames .* 2 to 3; set config.data.window to at m"
    ):
        load_dataset(validate(config))


def test_what_is_too_small_is_named_with_the_smallest_size(tmp_path: Path) -> None:
    config = config_of("cnn_lstm", save_set(tmp_path / "set.npz", (9, 13, 1)), "images")
    config.model.cnn_channels = (4, 8)
    with pytest.raises(UserError) as error:
        load_dataset(validate(config))
    assert str(error.value) == (
        "config.model.cnn_padding: valid leaves nothing of set's 9x13; 2 convolutions"
        " (config.model.cnn_channels) need 10x10 at least; choose same, fewer of them, or a larger"
        " size (config.data.height and width)"
    )
