"""Two runs of a few steps, trained once for all tests of reports: a classifier and a reader."""

from pathlib import Path

import numpy as np
import pytest

from configs import default
from seqvision.report import write_report
from seqvision.train import train_and_evaluate
from tests.inference.lines import config_of, save_lines

NAMES = ("<i>one & only</i>", '"two"', "$3", "four")
"""Names that are not to be taken for HTML, nor for mathematics."""


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 240 noisy images of four classes, 8 x 8: how far down a bright row is."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 240)
    pixels = rng.integers(0, 120, (240, 8, 8))
    pixels[np.arange(240), 2 * labels + 1] += 100
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, images=pixels.astype(np.uint8), labels=labels, class_names=NAMES)
    return path


@pytest.fixture(scope="session")
def classifier(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a run on `images` that says after every row what it thinks."""
    config = default.get_config()
    config.data.source, config.data.path = "npz", str(images)
    config.data.batch_size, config.data.eval_batch_size = 12, 50
    config.data.validation_fraction = config.data.test_fraction = 0.25
    config.model.hidden_size, config.model.recurrent_init = 8, "identity"
    config.model.execution, config.model.readout = "scan", "per_step"
    config.duration, config.log_every, config.evaluate_every = "40 steps", "10 steps", "20 steps"
    config.optimizer.learning_rate = 1e-2
    workdir = tmp_path_factory.mktemp("runs") / "classifier"
    assert train_and_evaluate(config, workdir).status == "done"
    return workdir


@pytest.fixture(scope="session")
def classifier_page(classifier: Path) -> str:
    return write_report(classifier).read_text()


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images of lines, and a run on them that has learnt a little."""
    folder = tmp_path_factory.mktemp("lines")
    save_lines(folder)
    config = config_of(folder)
    config.duration = "60 steps"
    assert train_and_evaluate(config, folder / "run").status == "done"
    return folder
