"""The benchmarks of live reading, on a small run."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.checks import live_equals_offline
from benchmarks.speed import live, streaming
from seqvision.errors import UserError
from seqvision.inference.stream_network import StreamNetwork
from seqvision.models.execution import choose
from seqvision.runs.saved_run import load_run
from tests.inference.lines import HEIGHT

EVENT = [0, "a", [3, 7], 0.75, True, False, 9]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([EVENT, EVENT], ""),
        ([EVENT, [0, "a", [3, 7], 0.750009, True, False, 9]], ""),
        ([EVENT, [0, "a", [3, 7], 0.75002, True, False, 9]], "event 1 is .*0.75002.*, seqvision's"),
        ([EVENT, [0, "a", [3, 7], float("nan"), True, False, 9]], "event 1 is .*nan"),
        ([EVENT, [0, "b", [3, 7], 0.75, True, False, 9]], "event 1 is .*'b'"),
        ([EVENT, [0, "a", [3, 8], 0.75, True, False, 9]], "event 1 is .*8"),
        ([EVENT, [0, "a", [3, 7], 0.75, False, False, 9]], "event 1 is .*False"),
        ([EVENT], "1 events, seqvision has 2"),
        ([EVENT] * 3, "3 events, seqvision has 2"),
    ],
)
def test_contenders_have_to_make_the_same_events(found: list[Any], reason: str) -> None:
    assert re.match(reason or "$", live.difference([EVENT, EVENT], found))


def shifted(read: Any) -> Any:
    """A `StreamNetwork.read` whose logits are a little too high: no text differs."""

    def shifted_read(*arguments: Any) -> np.ndarray:
        return read(*arguments) + np.float32(1e-4)

    return shifted_read


def test_benchmarks(line_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.options.RESULTS", tmp_path)
    # The compiled LSTM reads a line with the same bits however it comes: nothing would differ.
    monkeypatch.setattr(choose, "has_vectors", lambda name: False)
    run = f"--workdir={line_run}"
    installed = importlib.util.find_spec("onnxruntime") is not None
    for streams, engine in ((1, "numpy"), (20, "jax"), *[(2, "onnxruntime")] * installed):
        check = [run, f"--streams={streams}", f"--engine={engine}", "--name=equal", "--overwrite"]
        assert live_equals_offline.main(check) == 0
        equal = json.loads((tmp_path / "equal.json").read_text())
        assert (equal["lines"], equal["streams"]) == (1, streams)
        assert 0 < equal["largest_difference_of_logits"] < 1e-5
        with monkeypatch.context() as patch:
            for kind in StreamNetwork.__subclasses__():
                patch.setattr(kind, "read", shifted(kind.read))
            assert live_equals_offline.main(check) == 1
        assert json.loads((tmp_path / "equal.json").read_text())["lines_that_differ"] == 0
    loaded, line = load_run(line_run), np.zeros((HEIGHT, 9), np.uint8)
    pieces = [[np.full((9 + 4, 4), value)] for value in (1.0, np.nan)]
    assert np.isnan(live_equals_offline.largest_difference(loaded, [line] * 2, pieces))
    assert streaming.main([run, "--name=speed", "--streams=2", "--seconds=0.01"]) == 0
    cases = json.loads((tmp_path / "speed.json").read_text())["cases"]
    assert [(case["streams"], case["columns"]) for case in cases] == [(1, 1), (1, 8), (2, 8)]
    assert all(0 < case["p50_ms"] <= case["p99_ms"] for case in cases)
    with pytest.raises(UserError, match="there already"):
        streaming.main([run, "--name=speed"])
