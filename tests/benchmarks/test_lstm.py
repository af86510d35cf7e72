"""The comparison of contenders, with contenders made up here."""

import dataclasses
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import options, report
from benchmarks.speed.cases import CASE_SETS, NUM_CLASSES, Case, case_set
from benchmarks.speed.comparison import Measurement, compare, ratio
from benchmarks.speed.comparison_report import body, raw_cases
from benchmarks.speed.inputs import make_batches, make_bytes
from benchmarks.speed.process import WorkerError, WorkerProcess
from benchmarks.speed.worker import serve
from configs import cnn_lstm, frame_lstm
from tests.benchmarks.facts import FACTS

CASE = Case("lstm", "training", 128, 28, 28, 64, "float32")


# Answers `prepare`, then each `measure` with the next of the times it was given, and writes down
# whose turn it was. A time of "crash" ends it, "fail" is an answer that it could not.
FAKE = """
import json, sys
name, diary, *times = sys.argv[1:]
print(json.dumps({"versions": {"fake": "1"}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    with open(diary, "a") as file:
        file.write(f"{name} {request['do']}\\n")
    answer = {}
    if request["do"] == "prepare":
        answer = {"setting": "only", "trials_ms": {"only": [1.0]}}
    if request["do"] == "measure":
        ms = times.pop(0)
        if ms == "crash":
            sys.exit("out of memory")
        answer = {"error": "no luck"} if ms == "fail" else {"ms": float(ms), "steps": 3}
    print(json.dumps(answer), flush=True)
"""

Fakes = Callable[..., list[WorkerProcess]]


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Fakes]:
    """Starts made-up contenders: each has a name and its times."""
    workers: list[WorkerProcess] = []

    def start(**times: list[object]) -> list[WorkerProcess]:
        for name, ms in times.items():
            arguments = [name, str(tmp_path / "diary"), *map(str, ms)]
            worker = WorkerProcess(name, [sys.executable, "-S", "-c", FAKE, *arguments], {})
            assert worker.start() == {"fake": "1"}
            workers.append(worker)
        return workers

    yield start
    for worker in workers:
        worker.close()


def test_contenders_take_turns(fakes: Fakes, tmp_path: Path) -> None:
    workers = fakes(a=[3, 1, 2], b=[10, 40, 30])
    turns: list[str] = []
    results = compare(workers, CASE, rounds=3, seconds=0.1, tell=turns.append)
    expected = ["a prepare", "b prepare", *["a measure", "b measure"] * 3]
    assert (tmp_path / "diary").read_text().splitlines() == expected
    assert turns[2:4] == ["a: round 1/3", "b: round 1/3"]
    assert results["a"].ms == [3, 1, 2] and results["a"].median == 2
    assert results["b"].median == 30 and results["b"].steps == [3, 3, 3]
    assert ratio(results["b"], results["a"]) == 15


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("crash", "ended with exit code 1: out of memory"), ("fail", "no luck")],
)
def test_a_failing_contender_is_named_and_the_others_go_on(
    fakes: Fakes, trouble: str, words: str
) -> None:
    workers = fakes(seqvision=[1, 2, 3], peer=[5, trouble, 6])
    results = compare(workers, CASE, rounds=3, seconds=0.1, tell=lambda turn: None)
    assert results["seqvision"].median == 2
    assert results["peer"].ms == [5] and words in str(results["peer"].error)
    assert results["peer"].median is None and ratio(results["peer"], results["seqvision"]) is None
    markdown = "\n".join(body(FACTS, [(CASE, results)]))
    assert f"`peer`: {results['peer'].error}" in markdown
    # It is there again for the next case.
    again = compare(workers, CASE, rounds=1, seconds=0.1, tell=lambda turn: None)
    assert again["peer"].ms in ([5], [6])


def test_a_missing_library_is_no_crash() -> None:
    code = 'print(\'{"error": "No module named this"}\')'
    with pytest.raises(WorkerError, match="No module named this"):
        WorkerProcess("peer", [sys.executable, "-S", "-c", code], {}).start()
    with pytest.raises(WorkerError, match="No such file"):
        WorkerProcess("peer", ["/nowhere/python"], {}).start()


def test_markdown_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "RESULTS", tmp_path)
    own = Measurement("many steps", {"many steps": [2.0]}, {}, 1.0, [2.0, 1.0, 4.0], [3, 3, 3])
    trials = {"plain": [9.0, 7.0, 8.0], "fused": [5.0, 5.0, 5.0]}
    peer = Measurement("fused", trials, {"compiled": "no compiler"}, 1.0, [5.0, 6.0, 5.0], [3] * 3)
    results = [(CASE, {"seqvision": own, "peer": peer})]
    markdown = report.write(FACTS | {"cases": raw_cases(results)}, body(FACTS, results))
    lines = markdown.splitlines()
    assert lines[:3] == ["# made-up", "", f"    {FACTS['command']}"]
    assert "python 3.0, jax 0.0." in lines
    assert "| lstm | training | 64 | 128 | 28 | 28 | 2 (1-4) | 5 (5-6) | 2.50 |" in lines
    assert "`peer`: fused (plain: 8; fused: 5)" in markdown
    assert "`peer`, compiled: no compiler" in markdown
    assert "`keras`: left out: No module named 'keras'" in markdown
    assert (tmp_path / "made-up.md").read_text() == markdown
    [raw] = json.loads((tmp_path / "made-up.json").read_text())["cases"]
    assert raw["contenders"]["peer"]["ms"] == [5.0, 6.0, 5.0]
    assert raw["contenders"]["peer"]["trials_ms"] == trials
    assert Case(**raw["case"]) == CASE


def test_differences_between_contenders_are_named() -> None:
    sentence = "different versions of jax"

    def text(facts: dict[str, Any]) -> str:
        return "\n".join(body(facts, []))

    assert sentence not in text(FACTS)
    assert "one single-threaded device per core" in text(FACTS)
    contenders = {"seqvision": {"jax": "2"}, "flax": {"jax": "2"}, "keras": {"jax": "1"}}
    markdown = text(FACTS | {"contenders": contenders})
    assert f"{sentence}: `seqvision`, `flax` with 2; `keras` with 1." in markdown


class Ticking:
    """A contender of two settings: the clock goes on by that many seconds a step."""

    def __init__(self, clock: list[float], seconds: dict[str, float]) -> None:
        self._clock, self._seconds = clock, seconds

    def versions(self) -> dict[str, str]:
        return {"ticking": "1"}

    def settings(self, case: Case) -> dict[str, Callable[[], Callable[[int], None]]]:
        def builder(seconds: float) -> Callable[[], Callable[[int], None]]:
            def run(num_steps: int) -> None:
                self._clock[0] += num_steps * seconds

            return lambda: run

        def broken() -> Callable[[int], None]:
            raise RuntimeError("no compiler\nat all")

        return {name: builder(s) for name, s in self._seconds.items()} | {"broken": broken}


def test_a_worker_takes_its_fastest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmarks.speed.contender.time.perf_counter", lambda: clock[0])
    requests = [
        {"do": "measure", "seconds": 1.0},
        {"do": "prepare", "case": dataclasses.asdict(CASE)},
        {"do": "measure", "seconds": 1.0},
        {"do": "measure", "seconds": 0.001},
        {"do": "dance"},
    ]
    answers = io.StringIO()
    contender = Ticking(clock, {"slow": 0.5, "quick": 0.25})
    serve(contender, io.StringIO("\n".join(map(json.dumps, requests))), answers)
    first, early, prepared, measured, short, wrong = map(
        json.loads, answers.getvalue().split("\n")[:-1]
    )
    assert first["versions"]["ticking"] == "1"
    assert "nothing is prepared" in early["error"]
    assert prepared["setting"] == "quick"
    assert prepared["trials_ms"] == {"slow": [500.0] * 3, "quick": [250.0] * 3}
    assert prepared["failed"] == {"broken": "RuntimeError: no compiler"}
    assert measured == {"ms": 250.0, "steps": 4}
    assert short == {"ms": 250.0, "steps": 3}
    assert "dance" in wrong["error"]


@pytest.mark.parametrize("name", CASE_SETS)
def test_every_case_has_data(name: str) -> None:
    cases = case_set(name, "float32")
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        small = dataclasses.replace(case, batch_size=2)
        inputs, labels = make_bytes(small)
        batches = make_batches(small)
        assert len(batches) * 2 == len(inputs) == len(labels)
        assert inputs.shape[1:] == case.input_shape and labels.max() < NUM_CLASSES
        assert batches[0][0].max() <= 1 and batches[0][0].size == inputs.size / len(batches)


def test_the_networks_are_those_of_the_configs() -> None:
    cnn, frames = case_set("networks", "float32")
    for case, config in ((cnn, cnn_lstm.get_config()), (frames, frame_lstm.get_config())):
        assert case.batch_size == config.data.batch_size
        assert case.hidden_size == config.model.hidden_size
        assert config.model.cnn_channels == (32, 64)
    assert frames.num_steps == config.clips.num_frames
    assert frames.num_features == config.clips.height == config.clips.width
