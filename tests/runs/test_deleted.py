"""Runs whose folder, or a part of it, is deleted or moved while they train."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from seqvision.errors import UserError
from seqvision.runs.files import CONFIG, ENVIRONMENT, METRICS, write_json
from seqvision.runs.metrics_log import MetricsLog
from seqvision.runs.reporting import TrainingReporter
from seqvision.train import train_and_evaluate

LOST = "was deleted, moved or replaced while training"


@pytest.mark.parametrize(("is_moved", "step"), [(False, 4), (True, 8), (False, 12)])
def test_a_run_without_its_folder_is_not_done(
    tiny_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_moved: bool,
    step: int,
) -> None:
    workdir, whole = tmp_path / "run", TrainingReporter.validation

    def and_lose(self: TrainingReporter, metrics: object, at: int, *more: object) -> None:
        whole(self, metrics, at, *more)
        if at == step:
            workdir.rename(tmp_path / "elsewhere")
            if not is_moved:
                shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)

    monkeypatch.setattr(TrainingReporter, "validation", and_lose)
    with pytest.raises(UserError, match=f"run: .* {LOST}"):
        train_and_evaluate(tiny_config, workdir)
    assert not (workdir / "status.json").exists()


def replace(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.with_name("new").write_bytes(content)
    path.with_name("new").rename(path)


@pytest.mark.parametrize(
    ("name", "lose"),
    [(METRICS, Path.unlink), (METRICS, replace), (CONFIG, Path.unlink), (ENVIRONMENT, Path.unlink)],
)
def test_one_lost_record(tmp_path: Path, name: str, lose: Callable[[Path], None]) -> None:
    for record in (CONFIG, ENVIRONMENT):
        write_json(tmp_path / record, {})
    log = MetricsLog(tmp_path, 0)
    log.metrics(1, "train", {"loss": 1.0}, 0.5)
    log.sync()
    kept = (tmp_path / METRICS).open()  # Its inode is not given to the next file.
    lose(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} {LOST}"):
        log.sync()
    kept.close()
    log.close()
