"""Results of rows and the table of them: mean and deviation by hand, cells, what goes on."""

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from configs.tables import shell_game
from seqvision.config.validation import flatten, nest
from seqvision.runs.files import CONFIG, ENVIRONMENT, write_json
from seqvision.sweeps.process import OUTPUT
from seqvision.table import make_table
from seqvision.tables.evaluations import EVALUATIONS, RunEvaluations
from seqvision.tables.plan import PlannedRow, plan_table
from seqvision.tables.report import table_lines, write_table
from seqvision.tables.result import RowResult, result_of, spread
from seqvision.tables.rows import Row
from tests.sweeps.pretended import write_run

PATH = "configs/tables/shell_game.py"
VALUES = (0.5, 0.75, 0.625)
# The mean of VALUES is 0.625, of the squared differences 1/64, 1/64 and 0 the sum is 1/32.
DEVIATION = math.sqrt(1 / 64)


def planned(**fields: Any) -> PlannedRow:
    row = Row("a", variant="shell", seeds=3, **fields)
    return plan_table(PATH, [row], vars(shell_game), {})[0]


def trained(folder: Path, row: PlannedRow, values: tuple[float, ...] = VALUES) -> list[Path]:
    """What the training of a row leaves behind."""
    workdirs = [folder / run.name for run in row.plan.runs]
    for run, workdir, value in zip(row.plan.runs, workdirs, values, strict=False):
        write_run(workdir, [0.1, value], test=value)
        write_json(workdir / CONFIG, nest(flatten(run.settings)))
        facts = {"devices": ["cpu:0 cpu", "cpu:1 cpu"], "devices_used": 2, "processor": "A | B"}
        write_json(workdir / ENVIRONMENT, facts)
        (workdir / OUTPUT).write_text("step 1000/1000  loss 1\n")
    return workdirs


def test_a_row_is_mean_and_deviation_of_its_seeds(tmp_path: Path) -> None:
    row = planned()
    trained(tmp_path, row)
    found = result_of(row, tmp_path, 1234)
    assert found.values == VALUES
    assert found.ours == "62.50% ± 12.50 (3)"
    content = found.to_json()
    assert content["mean"] == pytest.approx(0.625) and content["std"] == pytest.approx(DEVIATION)
    assert (found.seconds, found.training) == (1.0, "1000 steps")
    assert found.hardware == "2 CPU cores (A | B)"
    assert spread("loss", (0.25,)) == "0.2500 (1)"


def test_a_run_that_is_missing_counts_nowhere(tmp_path: Path) -> None:
    row = planned()
    assert result_of(row, tmp_path, None).ours == "not run"
    trained(tmp_path, row, VALUES[:2])
    found = result_of(row, tmp_path, None)
    # Of two: the deviation is the difference over the square root of 2.
    assert found.ours == f"62.50% ± {25 / math.sqrt(2):.2f} (2)"
    assert [outcome.status for outcome in found.outcomes] == ["done", "done", "missing"]
    write_run(tmp_path / row.plan.runs[2].name, [0.1], "diverged")
    assert "loss or gradient is not finite" in result_of(row, tmp_path, None).reason


def test_cells_are_escaped_and_the_figures_of_evaluations_stand_apart(tmp_path: Path) -> None:
    row = planned(source="a | b", figure="33 | 90", evaluations={"64": {"clips.swaps": 64}})
    trained(tmp_path, row)
    found = dataclasses.replace(result_of(row, tmp_path, 1234), evaluations={"64": (1.0, 0.5)})
    write_table(tmp_path, PATH, [found])
    head, rule, line, _, names, _, values = (tmp_path / "table.md").read_text().splitlines()
    assert r"| a \| b | 33 \| 90 | 62.50% ± 12.50 (3) | 1,234 | 1000 steps |" in line
    assert line.replace(r"\|", "").count("|") == head.count("|") == rule.count("|")
    assert (names, values) == ("| row | 64 |", f"| a | 75.00% ± {50 / math.sqrt(2):.2f} (2) |")
    [content] = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert content["evaluations"]["64"]["each"] == [1.0, 0.5]
    assert content["source"] == "a | b"
    assert any("62.50% ± 12.50 (3)" in line for line in table_lines([found], tmp_path))


def test_an_evaluation_is_done_once_and_again_where_it_changed(tmp_path: Path) -> None:
    """What is kept beside a run counts for the same fields alone; of frames, the last counts."""
    row = planned(evaluations={"64": {"clips.swaps": 64}}, shown="64")
    [workdir, *_] = trained(tmp_path, row)
    asked: list[tuple[int, int]] = []

    def evaluate(settings: Any, folder: Path, split: str) -> Any:
        asked.append((settings.clips.swaps, settings.seed))
        write_json(folder / f"evaluation_{split}.json", {"last_frame": {"accuracy": 0.875}})
        return type("Metrics", (), {"row": lambda self: {"accuracy": 0.99}})()

    settings = row.evaluations["64"]

    def kept() -> RunEvaluations:
        return RunEvaluations(workdir, row.plan.runs[0].settings, "accuracy")

    assert kept().value("64", settings) is None
    assert kept().evaluate("64", settings, evaluate, 7) == 0.875
    assert asked == [(64, 7)]
    record = json.loads((workdir / EVALUATIONS).read_text())
    assert record == {"64": {"value": 0.875, "changes": {"clips.swaps": 64}}}
    assert kept().value("64", settings) == 0.875
    clips = dataclasses.replace(settings.clips, swaps=65)
    assert kept().value("64", dataclasses.replace(settings, clips=clips)) is None
    found: RowResult = result_of(row, tmp_path, None)
    assert found.evaluations == {"64": (0.875,)}
    assert found.ours == "87.50% (1)"


def test_the_same_command_trains_what_is_missing_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run starts a program that fails at once: those that are done are not among them."""
    monkeypatch.setattr("seqvision.runtime.cpu_devices.prepare_host", lambda count: None)
    path = tmp_path / "two.py"
    path.write_text(
        "from configs.tables.shell_game import get_config\n"
        "from seqvision.tables.rows import Row\n"
        "def get_table():\n"
        "    return [Row('first', variant='shell', seeds=3), Row('second', variant='shell')]\n"
    )
    table, row = tmp_path / "table", planned()
    trained(table / "first", row)

    def made(rows: str = "") -> int:
        return make_table(str(path), {}, table, [sys.executable, "-c", "exit(3)"], rows)

    assert made("first") == 0
    assert "| first |  |  | 62.50% ± 12.50 (3) |" in (table / "table.md").read_text()
    assert made() == 1
    first, second = (table / "table.md").read_text().splitlines()[2:]
    assert "62.50% ± 12.50 (3)" in first and "| second |  |  | failed |" in second
    assert [path.parent.name for path in table.glob("*/*/failure.json")] == ["seed=0"]
    trained(table / "second", row, VALUES[:1])
    capsys.readouterr()
    assert made() == 0
    assert "| second |  |  | 50.00% (1) |" in (table / "table.md").read_text()
    assert "62.50% ± 12.50 (3)" in capsys.readouterr().out
