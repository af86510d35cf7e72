"""A run that reads lines, trained once for all tests of inference."""

from pathlib import Path

import pytest

from seqvision.inference.transcriber import Transcriber
from seqvision.train import train_and_evaluate
from tests.inference.lines import config_of, save_lines


@pytest.fixture(scope="session")
def line_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images of lines."""
    folder = tmp_path_factory.mktemp("lines")
    save_lines(folder)
    return folder / "images"


@pytest.fixture(scope="session")
def line_run(line_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a run of a few steps on `line_images`."""
    workdir = tmp_path_factory.mktemp("line_run")
    assert train_and_evaluate(config_of(line_images.parent), workdir).status == "done"
    return workdir


@pytest.fixture(scope="session")
def transcriber(line_run: Path) -> Transcriber:
    return Transcriber.from_run(line_run)
