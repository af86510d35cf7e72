"""Runs to export, each trained once for all tests."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from seqvision.train import train_and_evaluate
from tests.inference.conftest import line_images, line_run

__all__ = ["line_images", "line_run"]


@pytest.fixture(scope="session")
def _runs() -> dict[str, Path]:
    return {}


@pytest.fixture
def run_of_rows(
    tiny_config: ConfigDict, tmp_path_factory: pytest.TempPathFactory, _runs: dict[str, Path]
) -> Path:
    """So large and so sure that 8 bits save something and change no answer."""
    if "rows" not in _runs:
        workdir = tmp_path_factory.mktemp("runs") / "rows"
        tiny_config.model.hidden_size = 40
        tiny_config.duration, tiny_config.optimizer.learning_rate = "200 steps", 1e-2
        tiny_config.evaluate_every = tiny_config.checkpoint.every = "never"
        train_and_evaluate(tiny_config, workdir)
        _runs["rows"] = workdir
    return _runs["rows"]
