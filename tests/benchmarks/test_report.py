"""The options of benchmarks, and the results that they write."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import options, report
from benchmarks.speed import lstm, time_to_accuracy
from seqvision.errors import UserError


def test_every_result_begins_with_versions_machine_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "RESULTS", tmp_path)
    versions = {"python": "3.99.1", "jax": "0.1.2"}
    monkeypatch.setattr(report, "describe_versions", lambda: versions)
    monkeypatch.setattr(sys, "argv", ["speed", "--torch_python=/home/me/python", "--seed=1"])
    chosen = options.Parser("benchmarks.speed.made_up", "").parse([])
    facts = report.begin(chosen, "made_up", "2 x cpu", steps=3)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert facts["name"] == f"made_up-{python}-jax0.1.2"
    assert facts["command"] == "python -m benchmarks.speed.made_up --torch_python=PYTHON --seed=1"
    assert facts["versions"] == versions | {"device": "2 x cpu"}
    assert facts["steps"] == 3 and facts["machine"]["cores"] >= 1
    assert facts["machine"]["memory"].endswith(" GiB")
    assert report.begin(chosen, "made_up", "1 x NVIDIA")["name"] == f"{facts['name']}-gpu"
    report.write(facts, ["words"])
    with pytest.raises(UserError, match="--overwrite"):
        report.begin(chosen, "made_up", "2 x cpu")


@pytest.mark.parametrize(
    ("main", "argument", "words"),
    [
        (lstm.main, "--dtype=float16", "--dtype"),
        (lstm.main, "--only=[", "regular expression"),
        (lstm.main, "--only=H=7", "picks none"),
        (lstm.main, "--contenders=pytorch", "'pytorch' is not known"),
        (lstm.main, "--rounds=0", "--rounds"),
        (lstm.main, "--name=a/b", "is a path"),
        (lstm.main, "--nonsense", "--nonsense"),
        (time_to_accuracy.main, "--seeds=a", "--seeds"),
        (time_to_accuracy.main, "--config=configs/nothing.py", "there is no file"),
        (time_to_accuracy.main, "--config=configs/row_lstm.py:book", "one_cycle"),
    ],
)
def test_mistakes_are_one_line(main: Callable[..., int], argument: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        main([argument])
    assert "\n" not in str(caught.value)


def test_results_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "RESULTS", tmp_path)
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(UserError, match="--overwrite"):
        lstm.parse(["--name=old"])
    assert lstm.parse(["--name=old", "--overwrite"]).name == "old"
