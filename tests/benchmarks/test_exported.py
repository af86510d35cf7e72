"""`benchmarks.checks.exported`: a network that fails is a row, and the others are checked."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import options
from benchmarks.checks import exported


def test_a_failure_is_a_row_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def check(name: str, num_steps: int, num_examples: int, folder: Path) -> list[dict[str, Any]]:
        seen.append((name, num_steps, num_examples))
        if name == "rows":
            raise ValueError("no | such\nfile")
        row = {"network": name, "file": "network.onnx", "bytes": 1234, "difference": 0.5}
        return [row | {"differing": 3, "score": 0.25, "seconds": [0.001, 0.1]}]

    monkeypatch.setattr(options, "RESULTS", tmp_path)
    monkeypatch.setattr(exported, "prepare_host", lambda: None)
    monkeypatch.setattr(exported, "check", check)
    monkeypatch.setattr(exported, "NETWORKS", {"rows": ("", {}), "frames": ("", {})})
    assert exported.main(["--name=x", "--steps=3", "--examples=9"]) == 1
    assert seen == [("rows", 3, 9), ("frames", 3, 9)]
    facts = json.loads((tmp_path / "x.json").read_text())
    assert facts["failed"] == [{"network": "rows", "error": "ValueError: no | such"}]
    text = (tmp_path / "x.md").read_text()
    assert "| frames | network.onnx | 1,234 | 5.0e-01 | 3 | 25.00% | 1.000 | 100.000 |" in text
    assert "| rows | failed: ValueError: no / such |" in text
    monkeypatch.setattr(exported, "NETWORKS", {"frames": ("", {})})
    assert exported.main(["--name=y"]) == 0
