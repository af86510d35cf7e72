"""How the loop ends without being done, and what ends it before it begins."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision import train
from seqvision.errors import UserError
from seqvision.runs.files import write_json
from seqvision.runs.lock import exclusive
from seqvision.runs.records import read_record
from seqvision.runs.saved_run import load_run
from seqvision.runs.saved_states import SavedStates
from seqvision.runtime.interruption import Interruption
from seqvision.train import train_and_evaluate
from tests.same_run import arrays, interrupt_at


def test_checkpoints_of_an_unknown_config_are_left_alone(
    small_config: ConfigDict, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints" / "5").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds checkpoints, but no config\.json"):
        train_and_evaluate(small_config, tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["5"]


def test_changed_data_is_refused(
    small_config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        train_and_evaluate(small_config, tmp_path)
    environment = read_record(tmp_path / "environment.json")
    environment["data"]["fingerprints"]["train"] = "0" * 64
    write_json(tmp_path / "environment.json", environment)
    with pytest.raises(UserError, match="its data changed since it began"):
        train_and_evaluate(small_config, tmp_path)


def test_a_second_process_is_refused(small_config: ConfigDict, tmp_path: Path) -> None:
    with (
        exclusive(tmp_path),
        pytest.raises(UserError, match=rf"process {os.getpid()} on .* is training here"),
    ):
        train_and_evaluate(small_config, tmp_path)


def test_divergence_stops_and_keeps_the_last_good_checkpoint(
    small_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_config.optimizer.name = "sgd"
    small_config.optimizer.learning_rate = 1e38
    small_config.checkpoint.every = "1 steps"
    result = train_and_evaluate(small_config, tmp_path)
    assert result.status == "diverged"
    assert json.loads((tmp_path / "status.json").read_text())["status"] == "diverged"
    said = capsys.readouterr().out
    assert f"not finite in step {result.step + 1}; the checkpoint of step {result.step}" in said
    assert all(np.isfinite(array).all() for array in arrays(tmp_path).values())


def test_early_stopping_and_keeping_the_best(
    small_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small_config.duration = "40 steps"
    small_config.evaluate_every = "2 steps"
    small_config.checkpoint.every = "never"
    small_config.checkpoint.keep_best = True
    small_config.checkpoint.keep = 1
    small_config.early_stopping.patience = 3
    accuracies = iter([0.5, 0.7, 0.6, 0.7, 0.1, 0.9])
    evaluated = train._Training._evaluate

    def pretend(self: Any, state: Any, split: str) -> Any:
        metrics = evaluated(self, state, split)
        if split == "validation" and int(state.step) not in seen:
            seen.add(int(state.step))
            return type(metrics)(metrics.loss, next(accuracies), 1000, metrics.class_accuracy)
        return metrics

    seen: set[int] = set()
    monkeypatch.setattr(train._Training, "_evaluate", pretend)
    result = train_and_evaluate(small_config, tmp_path)
    assert (result.status, result.step) == ("done", 10)
    assert "without a better one than at step 4" in capsys.readouterr().out
    assert SavedStates(tmp_path).steps == [4, 10]
    assert load_run(tmp_path).step == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data.validation_examples": 60_000}, "leaves nothing to train on"),
        ({"init_from": "/nowhere"}, "/nowhere: no run here"),
        ({"schedule.warmup": "1 epochs"}, "922 steps of warm-up do not fit the 12 steps"),
    ],
)
def test_a_config_that_does_not_fit_the_data_or_the_machine(
    small_config: ConfigDict, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    small_config.update_from_flattened_dict(change)
    with pytest.raises(UserError, match=message):
        train_and_evaluate(small_config, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_interruption_notes_one_signal_and_obeys_the_second() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
