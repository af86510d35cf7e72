"""The scheduler, with runs that pretend to train: order, kills, failures, several processes."""

import contextlib
import csv
import io
import os
import signal
from pathlib import Path

import pytest

from seqvision.errors import BusyError, UserError
from seqvision.runs.files import CONFIG, write_json
from seqvision.runs.lock import exclusive
from seqvision.sweeps import scheduler
from seqvision.sweeps.plan import shard_of
from seqvision.sweeps.scheduler import run_sweep
from seqvision.sweeps.search_space import grid
from tests.sweeps.plans import plan_of
from tests.sweeps.pretended import Machine, write_run


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(scheduler, "_LOCK_SECONDS", 0.01)
    monkeypatch.setattr(scheduler, "_draw", lambda *arguments: None)


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


def test_three_shards_in_one_folder_are_the_sweep(tmp_path: Path) -> None:
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


def test_a_run_that_another_process_trains_is_waited_for_by_its_lock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No process is started for it, and the other runs go on."""
    plan, machine = plan_of({"seed": 1}, {"seed": 2}), Machine(tmp_path)
    with contextlib.ExitStack() as other:
        other.enter_context(exclusive(tmp_path / "seed=1"))

        def end_other(number: int) -> None:
            write_run(tmp_path / "seed=1", [0.5], test=0.5)
            other.close()

        machine.at_start = end_other
        assert run_sweep(plan, plan.runs, tmp_path, machine) == 0
    assert machine.started == ["seed=2"]
    said = capsys.readouterr().out
    assert said.count("seed=1: another process is training it; waiting") == 1
    assert "seed=1: done elsewhere" in said


def test_a_run_that_another_process_locks_first_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, machine = plan_of({"seed": 1}, {"seed": 2}), Machine(tmp_path)
    machine.fates = {"seed=1": [BusyError.exit_code] * 2}

    def other(number: int) -> None:
        if number == 3:  # While the second try is under way.
            write_run(tmp_path / "seed=1", [0.5], test=0.5)

    machine.at_start = other
    assert run_sweep(plan, plan.runs, tmp_path, machine) == 0
    assert machine.started == ["seed=1", "seed=2", "seed=1"]
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
