"""Plans of tables: the shipped ones, and mistakes in others; the estimate of a run's time."""

import json
from pathlib import Path

import pytest

from seqvision.errors import UserError
from seqvision.runs.files import METRICS
from seqvision.tables.limit import measured_seconds
from seqvision.tables.plan import PlannedRow, chosen_rows, plan_table, read_table
from seqvision.tables.rows import Row


def planned(name: str, *rows: Row) -> list[PlannedRow]:
    path = f"configs/tables/{name}.py"
    shipped, content = read_table(path)
    return plan_table(path, rows or shipped, content, {})


def test_shell_games_are_evaluated_on_so_many_swaps() -> None:
    rows = planned("shell_game")
    assert all(len(one.plan.runs) == 5 for one in rows)
    parities = [one for one in rows if one.row.variant == "parity"]
    assert {one.evaluations["100 frames"].clips.num_frames for one in parities} == {100}
    games = [one for one in rows if one not in parities]
    assert {one.evaluations["256"].clips.swaps for one in games} == {256}
    assert {one.plan.runs[0].settings.clips.train_swaps for one in rows} == {6}


@pytest.mark.parametrize(
    "row,message",
    [
        (Row("a/b"), "its name is also its folder's"),
        (Row("a", shown="7"), "'7' is none of its evaluations"),
        (Row("a", overrides={"model.cel": "gru"}), "did you mean 'model.cell'"),
        (Row("a", seeds=0), "0 is no number of seeds"),
    ],
)
def test_mistakes_are_named(row: Row, message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned("mnist", row)


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(UserError, match="the table has no row 'bok'"):
        chosen_rows([Row("book")], "bok")


def test_the_time_of_a_run_is_that_of_its_fastest_steps_without_the_first(tmp_path: Path) -> None:
    """Between steps 10 and 15 the computer slept."""
    times = {5: 70, 10: 80, 15: 4000}
    rows = [{"step": s, "split": "train", "loss": 1.0, "seconds": t} for s, t in times.items()]
    (tmp_path / METRICS).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert measured_seconds(tmp_path, "step 10/1000  loss 1") == 2000.0
    assert measured_seconds(tmp_path, "") is None
