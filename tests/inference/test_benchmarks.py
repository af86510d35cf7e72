"""The benchmarks of live reading, on a small run."""

import json
from pathlib import Path

import pytest

from benchmarks.checks import live_equals_offline
from benchmarks.speed import streaming
from seqvision.errors import UserError


def test_benchmarks(line_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.options.RESULTS", tmp_path)
    # As many as there are test lines: its two readers run the same programs.
    monkeypatch.setattr(live_equals_offline, "_STREAMS", 1)
    run = f"--workdir={line_run}"
    assert live_equals_offline.main([run, "--name=equal"]) == 0
    equal = json.loads((tmp_path / "equal.json").read_text())
    assert equal["lines"] == 1
    assert equal["largest_difference_of_logits"] < 1e-5
    assert streaming.main([run, "--name=speed", "--streams=2", "--seconds=0.01"]) == 0
    cases = json.loads((tmp_path / "speed.json").read_text())["cases"]
    assert [(case["streams"], case["columns"]) for case in cases] == [(1, 1), (1, 8), (2, 8)]
    assert all(0 < case["p50_ms"] <= case["p99_ms"] for case in cases)
    with pytest.raises(UserError, match="there already"):
        streaming.main([run, "--name=speed"])
