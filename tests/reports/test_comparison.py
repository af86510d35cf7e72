"""Several runs side by side, the pages of sweeps, and what the mode refuses."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seqvision import report
from seqvision.config.validation import flatten, nest
from seqvision.errors import UserError
from seqvision.report import PAGE, compare_runs, report_at_end, write_plans, write_report
from seqvision.runs.files import CONFIG, ENVIRONMENT, write_json
from seqvision.sweeps.scheduler import TABLE
from seqvision.sweeps.search_space import grid
from seqvision.sweeps.table import csv_text, outcome_of
from tests.commands import main_here
from tests.data.making import says
from tests.reports.parsing import Page
from tests.sweeps.plans import base, plan_of
from tests.sweeps.pretended import write_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with three runs, of which one is torn, and something else."""
    for name, cell, scores in (("a", "gru", [0.5, 0.75]), ("b<b>", "lstm", [0.5, 0.625])):
        model = dataclasses.replace(base().model, cell=cell)
        settings = dataclasses.replace(base(), model=model)
        write_run(tmp_path / "runs" / name, scores, test=scores[-1] - 0.125)
        write_json(tmp_path / "runs" / name / CONFIG, nest(flatten(settings)))
    (tmp_path / "runs" / "torn").mkdir()
    (tmp_path / "runs" / "torn" / CONFIG).write_text("{")
    (tmp_path / "runs" / "notes.txt").write_text("nothing")
    (tmp_path / "runs" / "a" / PAGE).write_text("a page")
    return tmp_path / "runs"


def test_runs_side_by_side(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = runs.parent / "side.html"
    flags = ("--mode=report", f"--inputs={runs}/*", f"--output={target}")
    assert main_here(monkeypatch, *flags) == 0
    out = capsys.readouterr().out
    assert f"left out: {runs}/torn/config.json: damaged" in out
    assert out.endswith(f"report    {target}\n")
    page = Page(target.read_text())
    [table] = page.tables
    assert table[0] == ["run", *table[0][1:5], "status", "cell"]
    assert table[0][1:5] == ["best validation accuracy", "at step", "test accuracy", "time"]
    assert table[1:] == [
        ["a best", "75.00%", "2", "62.50%", "0:01", "done", "gru"],
        ["b<b>", "62.50%", "2", "50.00%", "0:01", "done", "lstm"],
    ]
    assert "Best by validation accuracy: a with 75.00%, test 62.50%." in page.text
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["#results", "#curves", "runs/a/report.html"]
    assert page.problems == []
    # The folder itself is taken for that of a sweep.
    assert main_here(monkeypatch, "--mode=report", f"--workdir={runs}") == 0
    assert Page((runs / PAGE).read_text()).tables == page.tables


def test_a_sweep_has_a_page_of_all_its_runs(tmp_path: Path) -> None:
    plan = plan_of(*grid({"model.cell": ["lstm", "gru"], "optimizer.learning_rate": [1e-3, 1e-1]}))
    write_run(tmp_path / plan.runs[0].name, [0.5, 0.75], test=0.5)
    write_run(tmp_path / plan.runs[1].name, [0.5], "diverged")
    page = Page(write_plans(tmp_path / PAGE, "cells", {"": plan}, tmp_path).read_text())
    [table] = page.tables
    assert [row[5] for row in table[1:]] == ["done", "diverged", "missing", "missing"]
    assert [row[6:] for row in table[1:3]] == [["lstm", "0.001"], ["lstm", "0.1"]]
    assert "loss or gradient is not finite in step 2" in page.text
    assert "2 of 4 runs; 2 are missing" in page.text
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(charts) == 3


def test_a_sweep_that_was_stopped_names_its_missing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their declared order, which is not that of the folders."""
    plan = plan_of(*grid({"model.cell": ["lstm", "gru", "janet"]}))
    for run in (plan.runs[0], plan.runs[1]):
        write_run(tmp_path / run.name, [0.5], test=0.5)
        write_json(tmp_path / run.name / CONFIG, nest(flatten(run.settings)))
    outcomes = [outcome_of(tmp_path / run.name, plan) for run in plan.runs]
    (tmp_path / TABLE).write_text(csv_text(plan, outcomes))
    assert main_here(monkeypatch, "--mode=report", f"--workdir={tmp_path}") == 0
    page = Page((tmp_path / PAGE).read_text())
    assert "2 of 3 runs; 1 is missing" in page.text
    assert [row[0].split()[0] for row in page.tables[0][1:]] == [
        "model.cell=lstm",
        "model.cell=gru",
    ]
    assert "Missing runs model.cell=janet" in page.text


def group_of(folder: Path, classes: list[str], **changes: object) -> None:
    """A run on data with these classes."""
    write_run(folder, [0.5, 0.75 if "best" in folder.name else 0.625], test=0.5)
    fields = flatten(base()) | changes
    write_json(folder / CONFIG, nest(fields))
    prints = {"train": "ab" * 32, "test": "-".join(classes)}
    data = {"name": "set", "version": "1", "input_shape": [8, 8, 1], "class_names": classes}
    write_json(
        folder / ENVIRONMENT, {"data": data | {"background": "dark", "fingerprints": prints}}
    )


def test_runs_on_other_data_are_not_ranked_together(tmp_path: Path) -> None:
    many = {"model.hidden_size": 9, "data.batch_size": 3, "seed": 1, "log_every": "7 steps"}
    many |= {"model.cell": "gru", "model.num_layers": 2, "optimizer.learning_rate": 0.5}
    group_of(tmp_path / "a", ["x", "y"])
    group_of(tmp_path / "a_best", ["x", "y"], **many)
    group_of(tmp_path / "b_best", ["z", "y"])
    target = tmp_path / "all.html"
    compare_runs([tmp_path / name for name in ("a", "a_best", "b_best")], target)
    page = Page(target.read_text())
    assert page.problems == []
    results, fields, others = page.tables
    assert [row[0] for row in results] == ["run", "a", "a_best best"]
    assert [row[0] for row in others] == ["run", "b_best"]
    # Six fields (log_every is none of them) for two runs: the runs across.
    assert fields[0] == ["field", "a", "a_best"] and len(fields) == 7
    assert ["hidden_size", str(base().model.hidden_size), "9"] in fields
    assert "Best by validation accuracy: a_best with 75.00%, test 50.00%." in page.text
    for group in ("set (x, y), by accuracy", "set (z, y), by accuracy"):
        assert f"Results: {group}" in page.text
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert links == {"#results-1", "#curves-1", "#results-2", "#curves-2"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--inputs={runs}/*",), "--output: missing"),
        (("--inputs={runs}/*.txt", "--output=x.html"), "matches 1 files or folders, none of them"),
        (("--inputs={runs}/z*", "--output=x.html"), "matches nothing"),
        (("--inputs={runs}/*", "--output=x.pdf"), "ends in '.pdf'; name an .html file"),
        (("--inputs={runs}/*", "--output=no/x.html"), "--output: the folder no does not exist"),
        (("--inputs={runs}/*", "--output=x.html", "--split=train"), "--split: it has no effect"),
        (("--inputs={runs}/*", "--output=x.html", "--workdir=y"), "--workdir: it has no effect"),
        (("--workdir={runs}", "--seed=1"), "--seed: it has no effect with"),
        (("--workdir={runs}/torn",), "torn/config.json: damaged"),
        (("--workdir={runs}/none",), "no run here"),
        (("--workdir={runs}/a", "--split=tset"), "did you mean 'test'?"),
        ((), "--config: missing"),
        (("--workdir={runs}/a", "--int8=false"), "--int8: it has no effect with --mode=report"),
    ],
)
def test_what_is_refused(
    runs: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], message: str
) -> None:
    arguments = [flag.format(runs=runs) for flag in flags]
    says(lambda: main_here(monkeypatch, "--mode=report", *arguments), message)
    assert not (runs / PAGE).exists()


@pytest.mark.parametrize("name", ["jinja2", "matplotlib"])
@pytest.mark.parametrize(
    "write", [write_report, lambda path: compare_runs([path], path / "x.html")]
)
def test_without_the_extra(
    runs: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path], name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    says(lambda: write(runs / "a"), f"{name} is missing, which reports need: pip install")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("the disk is full"), "report    not written: the disk is full"),
        (ValueError("a bug"), "report    not written: ValueError: a bug; --mode=report shows more"),
    ],
)
def test_a_page_that_fails_fails_nothing_else(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> Path:
        raise error

    report_at_end(write)
    assert capsys.readouterr().out == f"{line}\n"
    assert report.PAGE == PAGE
