"""Runs that cannot do what is asked of them."""

import shutil
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from configs import default
from seqvision.errors import UserError
from seqvision.inference.predictor import Predictor
from seqvision.inference.stream_reader import StreamReader
from seqvision.inference.transcriber import Transcriber
from tests.inference.lines import config_of


@pytest.fixture
def workdir(line_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that reads lines."""
    return shutil.copytree(line_run, tmp_path / "run")


def configure(workdir: Path, config: ConfigDict) -> None:
    (workdir / "config.json").write_text(config.to_json())


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    for reader in (Predictor, Transcriber, StreamReader):
        with pytest.raises(UserError, match="no run here"):
            reader.from_run(tmp_path)


def test_a_run_that_reads_text_knows_no_classes(workdir: Path) -> None:
    with pytest.raises(UserError, match=r"run: this run reads text .* Transcriber\)"):
        Predictor.from_run(workdir)


def test_a_run_that_classifies_reads_no_text(workdir: Path) -> None:
    configure(workdir, default.get_config())
    for reader in (Transcriber, StreamReader):
        with pytest.raises(UserError, match=r"reads no text; .* Predictor\)"):
            reader.from_run(workdir)


def test_a_run_that_reads_in_both_directions_needs_the_whole_line(workdir: Path) -> None:
    config = config_of(workdir)
    config.model.bidirectional = True
    configure(workdir, config)
    with pytest.raises(UserError, match="reads in both directions and needs the whole line"):
        StreamReader.from_run(workdir)
