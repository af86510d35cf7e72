"""Time to an accuracy: the clock, the table and the order of runs."""

import itertools
import sys

from benchmarks.speed import time_to_accuracy
from benchmarks.speed.timed_run import TimedRun, accuracy_in, follow
from tests.benchmarks.facts import FACTS


def test_the_clock_is_read_at_each_accuracy() -> None:
    code = (
        "import time\nprint('hello')\nfor a in (97.0, 98.6, 98.7):\n"
        '  print(\'{"epoch": 1, "accuracy": %s}\' % a, flush=True); time.sleep(0.1)'
    )
    run = TimedRun("peer", 0, "none")
    follow(run, [sys.executable, "-S", "-c", code], {})
    times = [at for at, _ in run.evaluations]
    assert run.error is None and run.best == 98.7
    assert all(after - before > 0.05 for before, after in itertools.pairwise(times))
    assert run.reached(98.5) == times[1] and run.reached(99.0) is None
    assert run.seconds > times[-1]


def test_a_failing_run_is_a_failure() -> None:
    run = TimedRun("peer", 0, "none")
    follow(run, [sys.executable, "-S", "-c", "import nothing_of_that_name"], {})
    assert "ModuleNotFoundError" in str(run.error)
    run = TimedRun("peer", 0, "none")
    follow(run, [sys.executable, "-S", "-c", "pass"], {})
    assert run.error == "it printed no test accuracy"


def test_the_accuracy_of_main() -> None:
    assert accuracy_in("test accuracy 99.27%, loss 0.0238, count 10000\n") == 99.27
    assert accuracy_in("validation accuracy 99.12%, loss 0.0281, count 5000\n") is None


def test_every_seed_is_in_the_table() -> None:
    runs = [
        TimedRun("torch_usual", 0, "none", [(50.0, 97.0), (60.0, 98.6)], 61.0),
        TimedRun("torch_usual", 1, "none", [(50.0, 97.0)], 51.0),
        TimedRun("torch_usual", 2, "none", [(70.0, 98.7)], 71.0),
        TimedRun("torch_ours", 0, "none", [(50.0, 97.0)], 51.0),
        TimedRun("torch_ours", 1, "none", [(50.0, 98.6)], 51.0),
        TimedRun("torch_ours", 2, "none", error="exit code 1"),
    ]
    facts = FACTS | {"seeds": [0, 1, 2], "target": 98.5, "config": "c.py", "left_out": {"ema": 0.9}}
    lines = time_to_accuracy.body(facts, runs)
    lacking = "not reached, best 97.00 %"
    for row in (
        f"| torch_usual | none | 70.0 (2 of 3 reached it) | 60.0 | {lacking} | 70.0 |",
        f"| torch_ours | none | not reached (1 of 3 reached it) | {lacking} | 50.0 "
        "| failed: exit code 1 |",
    ):
        assert row in lines
    assert "leaves out: ema = 0.9" in "".join(lines)


def test_contenders_alternate_seed_by_seed() -> None:
    config = "--config=configs/row_lstm.py"
    chosen = ["--contenders=seqvision,torch_ours", "--seeds=3,4", "--name=none-such", config]
    runs = time_to_accuracy.plan(time_to_accuracy.parse(chosen))
    assert [(run.seed, run.contender, run.cache) for run in runs[:3]] == [
        (3, "seqvision", "cold"),
        (3, "torch_ours", "none"),
        (3, "seqvision", "warm"),
    ]
    assert {run.seed for run in runs[3:]} == {4}
