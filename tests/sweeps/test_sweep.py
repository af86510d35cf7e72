"""Sweeps: what their descriptions mean, what is refused, and that interruptions do not show."""

import csv
import dataclasses
import importlib
import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from configs import default
from seqvision import sweep
from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.errors import BusyError, UserError
from seqvision.runs.files import (
    CONFIG,
    METRICS,
    STATUS,
    read_json,
    write_json,
    write_status,
    write_whole,
)
from seqvision.runs.metrics_log import read_metrics
from seqvision.runtime.cpu_devices import core_shares, group_cores
from seqvision.sweep import run_sweep
from seqvision.sweeps.eta import SweepProgress, share_done
from seqvision.sweeps.plan import Plan, PlannedRun, plan_sweep, read_sweep, shard_of
from seqvision.sweeps.process import OUTPUT, TrainingProcess, failure, train_command
from seqvision.sweeps.search_space import (
    grid,
    integers,
    log_uniform,
    product,
    sample,
    uniform,
    zipped,
)
from seqvision.sweeps.table import Outcome, best_of, csv_text, outcome_of, printed
from tests.test_main import environment, main_here

# --- descriptions ---


def test_a_grid_by_hand() -> None:
    assert grid({"a.x": [1, 2], "b": ["u", "v"]}) == [
        {"a.x": 1, "b": "u"},
        {"a.x": 1, "b": "v"},
        {"a.x": 2, "b": "u"},
        {"a.x": 2, "b": "v"},
    ]
    assert grid({"seed": range(2)}) == [{"seed": 0}, {"seed": 1}]


def test_zipped_by_hand() -> None:
    assert zipped({"a": [1, 2], "b": [8, 9]}) == [{"a": 1, "b": 8}, {"a": 2, "b": 9}]


def test_a_product_by_hand() -> None:
    pairs = zipped({"a": [1, 2], "b": [8, 9]})
    assert product(pairs, grid({"c": [5, 6]})) == [
        {"a": 1, "b": 8, "c": 5},
        {"a": 1, "b": 8, "c": 6},
        {"a": 2, "b": 9, "c": 5},
        {"a": 2, "b": 9, "c": 6},
    ]


def test_a_sample_by_hand() -> None:
    """From Python's own generator, seeded with the seed and the name of the field."""
    place = random.Random("3 a").random()
    (run,) = sample(seed=3, n=1, space={"a": uniform(10.0, 20.0)})
    assert run == {"a": pytest.approx(10 + 10 * place, rel=1e-3)}
    (run,) = sample(seed=3, n=1, space={"a": log_uniform(1e-4, 1e-2)})
    assert math.log10(run["a"]) == pytest.approx(-4 + 2 * place, abs=1e-3)
    assert float(f"{run['a']:.3e}") == run["a"]  # Four digits.


def test_a_longer_sample_begins_with_the_shorter_one() -> None:
    space = {"a": log_uniform(1e-4, 1e-2), "b": ["x", "y"], "c": integers(1, 3)}
    assert sample(0, 12, space)[:5] == sample(0, 5, space)
    assert sample(0, 12, space) != sample(1, 12, space)
    alone = sample(0, 5, {"a": space["a"]})
    assert [run["a"] for run in alone] == [run["a"] for run in sample(0, 5, space)]


def test_a_sample_covers_its_space() -> None:
    runs = sample(0, 400, {"a": log_uniform(1e-4, 1e-2), "b": uniform(0.0, 1.0)})
    assert np.mean([run["a"] < 1e-3 for run in runs]) == pytest.approx(0.5, abs=0.1)
    assert all(1e-4 <= run["a"] <= 1e-2 and 0 <= run["b"] <= 1 for run in runs)
    small = sample(0, 6, {"n": integers(1, 3), "cell": ["lstm", "gru"]})
    assert sorted((run["n"], run["cell"]) for run in small) == [
        (n, cell) for n in (1, 2, 3) for cell in ("gru", "lstm")
    ]


@pytest.mark.parametrize(
    ("describe", "message"),
    [
        (lambda: grid({"a": "lstm"}), "'lstm' is one value"),
        (lambda: grid({"a": []}), "a: no values"),
        (lambda: zipped({"a": [1, 2], "b": [1]}), "not a 2, b 1"),
        (lambda: product(grid({"a": [1]}), grid({"a": [2]})), "a is in two of its sweeps"),
        (lambda: sample(0, 3, {"a": [1, 2]}), "3 different runs asked for, but only 2"),
        (lambda: sample(0, 3, {"a": []}), "a: no values"),
        (lambda: uniform(1.0, 1.0), "1.0 is not below 1.0"),
        (lambda: log_uniform(0.0, 1.0), "0.0 has no logarithm"),
    ],
)
def test_descriptions_that_mean_nothing(describe: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe()


# --- plans ---


def base(**changes: Any) -> Settings:
    config = default.get_config()
    config.update_from_flattened_dict(changes)
    return validate(config)


def plan_of(*runs: dict[str, Any]) -> Plan:
    return plan_sweep(base(), list(runs))


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([{"optimizer.learning_rat": 1.0}], "did you mean 'optimizer.learning_rate'?"),
        ([{"seed": 1}, {"sed": 2}], "run 2 of 2: config.sed: no such field; did you mean 'seed'?"),
        ([{"model": 1}], "config.model: it is a section; name one of its fields, such as 'model."),
        ([{"data.batch_size": "64"}], "config.data.batch_size: '64' is a str"),
        ([{"data.batch_size": 6.5}], "config.data.batch_size: 6.5 is a float"),
        ([{"duration": "1 day"}], "config.duration: '1 day' is not a duration"),
        ([{"optimizer.name": "adm"}], "did you mean 'adam'?"),
        ([{"optimizer.learning_rate": -1.0}], "-1.0 is out of range"),
        ([{"optimizer.momentum": 0.9}], "0.9 has no effect with adam"),
        ([{"seed": 1}, {"seed": 2}, {"seed": 1}], "run 3 of 3: it is run 1 again, seed=1"),
        ([{"optimizer.learning_rate": 1}, {"optimizer.learning_rate": 1.0}], "it is run 1 again"),
        ([{}, {"seed": 0}], "it is run 1 again"),  # The default is 0.
        ([{"data.dir": "a b"}, {"data.dir": "ab"}], "its folder would be that of run 1"),
        ([["seed", 1]], r"\['seed', 1\] is no dict"),
        ([{"data.source": "digit_lines", "model.readout": "per_step",
           "model.sequence": "columns"}, {}], "some runs read text"),
    ],
    ids=str,
)  # fmt: skip
def test_sweeps_that_cannot_be(runs: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        plan_sweep(base(), runs)
    assert "\n" not in str(error.value)


def test_the_command_line_sets_what_the_sweep_leaves(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config.seed: the sweep varies it"):
        plan_sweep(base(), grid({"seed": [1, 2]}), fixed=["seed"])
    assert len(plan_sweep(base(), grid({"seed": [1, 2]}), fixed=["data.batch_size"]).runs) == 2


def test_names_are_of_the_overrides_alone() -> None:
    few = plan_of(*grid({"seed": [1, 2], "data.batch_size": [64]}))
    more = plan_of(*grid({"data.batch_size": [32, 64], "seed": [0, 2, 1]}))
    assert [run.name for run in few.runs] == [
        "data.batch_size=64,seed=1",
        "data.batch_size=64,seed=2",
    ]
    assert {run.name for run in few.runs} < {run.name for run in more.runs}


def test_names_that_folders_can_bear() -> None:
    plan = plan_of(
        {},
        {"model.cnn_channels": (16, 32), "duration": "3 epoch"},
        {"optimizer.learning_rate": 3e-4},
        {"data.name": "emnist/letters"},
        {"data.name": "emnist letters"},
        {"init_from": "x" * 300},
        {"init_from": "x" * 299 + "y"},
    )
    names = [run.name for run in plan.runs]
    assert names[:3] == [
        "base",
        "duration=3epochs,model.cnn_channels=16x32",
        "optimizer.learning_rate=0.0003",
    ]
    assert names[3].startswith("data.name=emnist-letters-")
    assert names[4] == "data.name=emnistletters"
    assert len({*names}) == len(names)
    assert max(map(len, names)) == 120


@pytest.mark.parametrize("num_shares", [1, 2, 3, 5, 20])
def test_shares_are_disjoint_and_together_all(num_shares: int) -> None:
    runs = plan_of(*grid({"seed": range(12)})).runs
    shares = [shard_of(runs, f"{i}/{num_shares}") for i in range(num_shares)]
    together = [run.name for share in shares for run in share]
    assert sorted(together) == sorted(run.name for run in runs)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shard_of(runs, "") == list(runs)


@pytest.mark.parametrize("text", ["3/3", "1", "-1/3", "0/0", "a/b", "1/3/5", " 0/3"])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="write i/n with i from 0 to n-1"):
        shard_of([], text)


BODY = "from configs.default import get_config\n"


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", (), "has no get_sweep()"),
        ("def get_sweep(): return []", (), "it returns an empty list"),
        ("def get_sweep(): return {'seed': 1}", (), "it returns a dict"),
        ("def get_sweep(): return 1 / 0", (), "ZeroDivisionError: division by zero"),
        ("def get_sweep(): return [{'sed': 1}]", (), "did you mean 'seed'?"),
        ("def get_sweep(): return [{'seed': 1}]", ("--config.seed=2",), "the sweep varies it"),
        ("def get_sweep(): return [{'seed': 1}]", ("--sweep_shard=1/1",), "'1/1' is no share"),
        ("def get_sweep(): return [{'seed': 1}]", ("--sweep_workers=0",), "--sweep_workers=0"),
        ("def get_sweep(): return [{'seed': 1}]", ("--measure_peak",), "--measure_peak: it has"),
        ("", ("--mode=train", "--sweep_workers=1"), "--sweep_workers: it has no effect"),
        ("", ("--mode=evaluate", "--sweep_shard=0/1"), "--sweep_shard: it has no effect"),
    ],
)
def test_bad_sweeps_end_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "own.py").write_text(BODY + text)
    command = (f"--config={tmp_path}/own.py", f"--workdir={tmp_path}/out", "--mode=sweep")
    with pytest.raises(UserError) as error:
        main_here(monkeypatch, *command, *arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["own.py"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["cells", "learning_rate_and_size"])
def test_shipped_sweeps(name: str) -> None:
    path = f"configs/sweeps/{name}.py"
    assert f"--config={path} --mode=sweep" in Path(path).read_text()
    module = importlib.import_module(f"configs.sweeps.{name}")
    assert len(plan_sweep(validate(module.get_config()), read_sweep(path)).runs) == 12


# --- tables ---


def test_a_table_by_hand(tmp_path: Path) -> None:
    plan = plan_of({"seed": 1}, {"seed": 2, "optimizer.learning_rate": 1}, {"seed": 3})
    write_run(tmp_path / plan.runs[0].name, [0.5, 0.75, 0.75], test=0.625)
    write_run(tmp_path / plan.runs[1].name, [0.9], status="diverged")
    outcomes = [outcome_of(tmp_path / run.name, plan) for run in plan.runs]
    assert csv_text(plan, outcomes) == (
        "run,seed,optimizer.learning_rate,status,best_validation_accuracy,best_step,"
        "test_accuracy,reason,seconds\n"
        "seed=1,1,0.001,done,0.75,2,0.625,,1.5\n"
        '"optimizer.learning_rate=1.0,seed=2",2,1.0,diverged,0.9,1,,'
        "loss or gradient is not finite in step 2,0.5\n"
        "seed=3,3,0.001,missing,,,,,\n"
    )
    assert best_of(plan, outcomes) == 0  # A run that diverged is none.
    lines = list(printed(plan, outcomes, tmp_path))
    assert " ".join(lines[0].split()) == "seed learning_rate status best validation test time"
    assert " ".join(lines[1].split()) == "1 0.001 done 75.00% (step 2) 62.50% 0:02"
    assert " ".join(lines[3].split()) == "3 0.001 missing"
    assert lines[4].startswith("diverged: optimizer.learning_rate=1.0,seed=2: loss or")
    assert lines[5] == f"best by validation accuracy: {tmp_path}/seed=1: 75.00%, test 62.50%"


def test_of_error_rates_the_lowest_is_best(tmp_path: Path) -> None:
    plan = dataclasses.replace(plan_of({"seed": 1}, {"seed": 2}), metric="cer")
    for run, rates in zip(plan.runs, ([0.5, 0.25, 0.75], [0.3]), strict=True):
        write_run(tmp_path / run.name, rates, metric="cer", test=0.1)
    outcomes = [outcome_of(tmp_path / run.name, plan) for run in plan.runs]
    assert (outcomes[0].best, outcomes[0].best_step) == (0.25, 2)
    assert best_of(plan, outcomes) == 0


def test_a_picture_of_numbers_and_names(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")  # The extra `plots`; the extra `test` has it too.
    from seqvision.sweeps.plots import draw_sweep

    plan = plan_of(*grid({"model.cell": ["lstm", "gru"], "optimizer.learning_rate": [1e-3, 1e-1]}))
    outcomes = [Outcome("done", 0.5, 1, curve=((1, 0.4), (2, 0.5)))] * 3 + [Outcome("missing")]
    draw_sweep(plan, outcomes, tmp_path / "sweep.png")
    draw_sweep(plan, [Outcome("missing")] * 4, tmp_path / "none.png")
    with Image.open(tmp_path / "sweep.png") as image, Image.open(tmp_path / "none.png") as none:
        assert image.width > 3 * image.height
        assert image.convert("L").entropy() > none.convert("L").entropy() > 0


# --- running, with runs that are pretended ---


def write_run(
    workdir: Path,
    scores: list[float],
    status: str = "done",
    test: float | None = None,
    metric: str = "accuracy",
) -> None:
    """What a run leaves behind: an evaluation after each step."""
    workdir.mkdir(parents=True, exist_ok=True)
    rows = [
        {"step": step, "split": "validation", metric: score, "seconds": 0.5 * step}
        for step, score in enumerate(scores, 1)
    ]
    write_whole(workdir / METRICS, "".join(f"{json.dumps(r)}\n" for r in rows))
    more: dict[str, Any] = {}
    if status == "done":
        more = {"metrics": {"test": {metric: test}}, "seconds": 0.5 * len(scores)}
    write_status(workdir, status, len(scores), **more)


class Pretended:
    """A run of four steps, one at each poll, that begins where it stopped."""

    def __init__(self, workdir: Path, seed: int, fate: int = 0) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        self._workdir, self._seed, self._fate = workdir, seed, fate
        self._scores = [row["accuracy"] for row in read_metrics(workdir)]
        self._is_told = False

    def poll(self) -> int | None:
        if self._fate:
            return self._fate
        if self._is_told:
            write_run(self._workdir, self._scores, "interrupted")
            return 128 + signal.SIGTERM
        self._scores.append((self._seed + 1) / (len(self._scores) + 3))
        is_done = len(self._scores) == 4
        write_run(self._workdir, self._scores, "done" if is_done else "running", self._seed / 64)
        return 0 if is_done else None

    def interrupt(self) -> None:
        self._is_told = True

    def kill(self) -> None:
        pass

    def said(self) -> str:
        return "step 1/4  loss 1\nerror: no luck\n" if self._fate else ""


class Machine:
    """Starts pretended runs; notes which, and how many at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started, self.active, self.most = folder, [], set(), 0
        self.fates: dict[str, list[int]] = {}
        self.at_start: Callable[[int], None] = lambda number: None

    def __call__(self, run: PlannedRun, worker: int) -> Pretended:
        self.started.append(run.name)
        assert worker not in self.active
        fates = self.fates.get(run.name, [])
        process = Pretended(self.folder / run.name, run.settings.seed, fates.pop(0) if fates else 0)
        poll = process.poll

        def watched() -> int | None:
            code = poll()
            if code is not None:
                self.active.discard(worker)
            return code

        process.poll = watched  # type: ignore[method-assign]
        self.active.add(worker)
        self.most = max(self.most, len(self.active))
        self.at_start(len(self.started))
        return process


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(sweep, "_BUSY_SECONDS", 0.01)
    monkeypatch.setattr(sweep, "_draw", lambda *arguments: None)


def pure(table: str) -> list[list[str]]:
    """A table without its last column, the time."""
    return [row[:-1] for row in csv.reader(io.StringIO(table))]


TWELVE = grid({"seed": range(6), "data.batch_size": [8, 16]})


def test_twelve_runs_killed_and_interrupted_end_as_uninterrupted(tmp_path: Path) -> None:
    plan = plan_of(*TWELVE)
    whole, cut = Machine(tmp_path / "whole"), Machine(tmp_path / "cut")
    assert run_sweep(plan, plan.runs, whole.folder, whole, num_workers=3) == 0
    assert whole.started == [run.name for run in plan.runs]
    assert whole.most == 3

    def kill(number: int) -> None:
        if number == 5:
            raise MemoryError("as good as SIGKILL: nothing is tidied up")

    cut.at_start = kill
    with pytest.raises(MemoryError):
        run_sweep(plan, plan.runs, cut.folder, cut, num_workers=3)
    cut.active = set()
    cut.at_start = lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == 9 else None
    assert run_sweep(plan, plan.runs, cut.folder, cut, num_workers=3) == 128 + signal.SIGTERM
    assert "interrupted" in (cut.folder / "sweep.csv").read_text()
    cut.at_start = lambda number: None
    assert run_sweep(plan, plan.runs, cut.folder, cut, num_workers=3) == 0
    tables = [(folder / "sweep.csv").read_text() for folder in (whole.folder, cut.folder)]
    assert pure(tables[0]) == pure(tables[1])
    assert [row[0] for row in pure(tables[0])[1:]] == [run.name for run in plan.runs]
    before = len(cut.started)
    assert run_sweep(plan, plan.runs, cut.folder, cut) == 0
    assert len(cut.started) == before  # What is done is kept.


def test_three_shares_in_one_folder_are_the_sweep(tmp_path: Path) -> None:
    plan = plan_of(*TWELVE)
    started = []
    for shard in ("1/3", "0/3", "2/3"):
        machine = Machine(tmp_path)
        assert run_sweep(plan, shard_of(plan.runs, shard), tmp_path, machine) == 0
        started += machine.started
        statuses = [row[3] for row in pure((tmp_path / "sweep.csv").read_text())[1:]]
        assert statuses.count("done") == len(started)
    assert sorted(started) == sorted(run.name for run in plan.runs)


def test_failed_runs_stop_no_others_and_are_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, machine = plan_of(*grid({"seed": range(4)})), Machine(tmp_path)
    machine.fates = {"seed=1": [2], "seed=2": [-signal.SIGKILL]}
    assert run_sweep(plan, plan.runs, tmp_path, machine) == 1
    said = capsys.readouterr().out
    assert "[2/4] seed=1: failed in 0:00: no luck" in said
    assert "failed: seed=2: ended by SIGKILL; out of memory?" in said
    table = pure((tmp_path / "sweep.csv").read_text())
    assert [row[2] for row in table[1:]] == ["done", "failed", "failed", "done"]
    assert run_sweep(plan, plan.runs, tmp_path, machine) == 0
    assert machine.started == ["seed=0", "seed=1", "seed=2", "seed=3", "seed=1", "seed=2"]
    assert "failed" not in (tmp_path / "sweep.csv").read_text()


def test_a_run_that_diverged_is_a_result(tmp_path: Path) -> None:
    plan, machine = plan_of({"seed": 1}, {"seed": 2}), Machine(tmp_path)
    write_run(tmp_path / "seed=1", [0.25], "diverged")
    assert run_sweep(plan, plan.runs, tmp_path, machine) == 1
    assert machine.started == ["seed=2"]


def test_a_run_that_another_process_trains_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, machine = plan_of({"seed": 1}, {"seed": 2}), Machine(tmp_path)
    machine.fates = {"seed=1": [BusyError.exit_code] * 2}

    def other(number: int) -> None:
        if number == 3:  # While the second try is under way.
            write_run(tmp_path / "seed=1", [0.5], test=0.5)

    machine.at_start = other
    assert run_sweep(plan, plan.runs, tmp_path, machine) == 0
    said = capsys.readouterr().out
    assert said.count("another process is training it; waiting") == 1
    assert "seed=1: done elsewhere" in said


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    plan, machine = plan_of({"seed": 1}), Machine(tmp_path)
    write_json(tmp_path / CONFIG, {})
    with pytest.raises(UserError, match="it holds a run, and --mode=sweep needs a folder for many"):
        run_sweep(plan, plan.runs, tmp_path, machine)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file stands where a folder is needed"):
        run_sweep(plan, plan.runs, tmp_path / "file", machine)
    assert not machine.started


def test_progress_by_hand() -> None:
    assert share_done("") == (0, 0)
    assert share_done("resuming x from step 20\nstep 50/80  loss\nstep 60/80  loss\n") == (
        0.25,
        0.75,
    )
    progress = SweepProgress(num_runs=4, now=100.0)
    assert progress.seconds_left(now=105.0, running=[""]) is None
    progress.ended("step 80/80  loss")
    # 1.5 runs in 30 s leave 2.5 runs.
    assert progress.seconds_left(now=130.0, running=["step 40/80  loss"]) == pytest.approx(50)


def test_workers_share_the_cores(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,4", "1,5", "2,6", "3,7") * 2):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(siblings)
    assert group_cores(range(8), tmp_path) == [{0, 4}, {1, 5}, {2, 6}, {3, 7}]
    assert core_shares(1) == [set()]
    usable = os.sched_getaffinity(0)
    shares = core_shares(3)
    assert len(shares) == 3
    assert all(share and share <= usable for share in shares)
    assert len({len(share) for share in shares}) == 1


# --- processes ---

RUN = """
import pathlib, sys, time
from seqvision.runtime.interruption import Interruption, stop_with_input
stop_with_input()
with Interruption() as interruption:
    print("ready", flush=True)
    while interruption.signal is None:
        time.sleep(0.01)
pathlib.Path(sys.argv[1], "saved").write_text(interruption.signal.name)
"""
OWNER = """
import pathlib, sys, time
from seqvision.sweeps.process import TrainingProcess
folder, code = sys.argv[1:]
process = TrainingProcess([sys.executable, "-c", code, folder], pathlib.Path(folder))
time.sleep(60)
"""


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_no_run_outlives_a_killed_sweep(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), RUN])
    output = tmp_path / OUTPUT
    wait_for(lambda: output.exists() and "ready" in output.read_text())
    owner.kill()
    owner.wait()
    wait_for((tmp_path / "saved").exists)
    wait_for(lambda: (tmp_path / "saved").read_text() == "SIGTERM")


def test_a_process_and_its_output(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    code = "import os; print(sorted(os.sched_getaffinity(0)), os.getsid(0) == os.getpid()); 1 / 0"
    for _ in range(2):  # The second appends.
        process = TrainingProcess([sys.executable, "-c", code], tmp_path, {cpu})
        wait_for(lambda process=process: process.poll() is not None)
    assert process.said().splitlines()[0] == f"[{cpu}] True"
    assert (tmp_path / OUTPUT).read_text().count("True") == 2
    assert failure(1, process.said()) == "ZeroDivisionError: division by zero"
    assert failure(2, "x\nerror: config.seed: wrong\n\n") == "config.seed: wrong"
    assert failure(3, "") == "exit code 3"
    process = TrainingProcess([sys.executable, "-c", "input()"], tmp_path)
    process.kill()
    assert failure(process.poll() or 0, "") == "ended by SIGKILL; out of memory?"


def test_the_command_of_a_run() -> None:
    assert train_command(
        ["python", "main.py"],
        "own.py:x",
        {"model.cnn_channels": (16, 32), "seed": 1, "model.bidirectional": True},
        Path("runs/a"),
    ) == [
        "python",
        "main.py",
        "--config=own.py:x",
        "--config.model.cnn_channels=(16, 32)",
        "--config.seed=1",
        "--config.model.bidirectional=True",
        "--mode=train",
        "--workdir=runs/a",
        "--stop_with_input",
    ]


# --- the whole, for real ---

OWN = """
from pathlib import Path
from configs import default
from seqvision.sweeps.search_space import grid

def get_config():
    config = default.get_config()
    config.data.source = "npz"
    config.data.path = str(Path(__file__).with_name("set.npz"))
    config.data.batch_size = 16
    config.model.hidden_size = 8
    config.duration = "2000 steps"
    config.log_every = config.checkpoint.every = "100 steps"
    config.evaluate_every = "500 steps"
    return config

def get_sweep():
    return grid({"model.sequence": ["rows", "patches"]})
"""


def test_a_sweep_killed_and_interrupted_ends_as_uninterrupted(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    labels = np.arange(240) % 3
    images = rng.integers(0, 90, (240, 6, 6)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 60
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    (tmp_path / "own.py").write_text(OWN)

    def command(folder: str) -> list[str]:
        return [
            sys.executable,
            "main.py",
            f"--config={tmp_path}/own.py",
            "--config.seed=1",
            "--mode=sweep",
            "--sweep_workers=2",
            f"--workdir={tmp_path}/{folder}",
        ]

    def run(folder: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(folder), env=environment(), capture_output=True, text=True)

    whole = run("whole")
    assert whole.returncode == 1, whole.stderr
    assert "patches of 4x4 do not tile images of 6x6" in whole.stdout
    cut = tmp_path / "cut"

    def has_stepped(attempt: int) -> bool:
        path = cut / "model.sequence=rows" / OUTPUT
        said = path.read_text() if path.exists() else ""
        *before, last = said.split("\nworkdir ")  # A line at the start of each attempt.
        return len(before) == attempt and "\nstep " in last

    for attempt, number in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
        process = subprocess.Popen(command("cut"), env=environment(), stdout=subprocess.PIPE)
        wait_for(lambda attempt=attempt: has_stepped(attempt))
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    status = read_json(cut / "model.sequence=rows" / STATUS)
    assert status["status"] == "interrupted"
    assert run("cut").returncode == 1
    tables = [pure((tmp_path / name / "sweep.csv").read_text()) for name in ("whole", "cut")]
    assert tables[0] == tables[1]
    assert [row[2] for row in tables[0][1:]] == ["done", "failed"]
