"""The cases of `same_bits`, which names what changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checks import same_bits
from benchmarks.checks.same_bits_cases import EVALUATED, PREDICTED, SHIPPED, TRAINED


def test_every_shipped_config_is_a_case() -> None:
    files = {str(path.relative_to("configs")) for path in Path("configs").rglob("*.py")}
    files -= {"__init__.py", "sweeps/__init__.py", "default.py"}
    # Those of data or weights of one's own, and those that run other configs.
    files -= {"series.py", *(name for name in files if name.startswith("tables/"))}
    assert {name.partition(":")[0] for name in SHIPPED} == files
    assert {*EVALUATED, *PREDICTED} <= TRAINED.keys()


def test_a_changed_case_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bits: dict[str, Any] = {"janet": {"weights": "1"}, "min_lstm": {"weights": "2"}}
    monkeypatch.setattr(same_bits.Runner, "train", lambda self, name: bits[name])
    path, work = tmp_path / "bits.json", f"--work={tmp_path / 'work'}"
    only = "--only=janet,min_lstm"
    assert same_bits.main([work, only, f"--save={path}"]) == 0
    assert json.loads(path.read_text()) == bits
    assert same_bits.main([work, only, f"--against={path}"]) == 0
    bits["min_lstm"] = {"weights": "3"}
    assert same_bits.main([work, only, f"--against={path}"]) == 1
    output = capsys.readouterr().out
    assert "same  janet" in output and "OTHER min_lstm" in output
    assert output.endswith("2 cases, 1 differ\n")


def test_a_run_is_copied_as_if_killed(tmp_path: Path) -> None:
    for step in (3, 6):
        (tmp_path / "run/checkpoints" / str(step)).mkdir(parents=True)
    (tmp_path / "run/status.json").write_text('{"status": "done", "step": 6}')
    same_bits.copy_until(tmp_path / "run", tmp_path / "copy", step=3)
    assert [path.name for path in (tmp_path / "copy/checkpoints").iterdir()] == ["3"]
    assert json.loads((tmp_path / "copy/status.json").read_text())["status"] == "running"
