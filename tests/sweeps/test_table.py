"""Tables: outcomes read from the files of runs, as CSV and as text."""

import dataclasses
from pathlib import Path

from seqvision.sweeps.table import best_of, csv_text, outcome_of, table_lines
from tests.sweeps.plans import plan_of
from tests.sweeps.pretended import write_run


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
    lines = list(table_lines(plan, outcomes, tmp_path))
    assert " ".join(lines[0].split()) == "seed learning_rate status best validation test time"
    assert " ".join(lines[1].split()) == "1 0.001 done 75.00% (step 2) 62.50% 0:02"
    assert " ".join(lines[3].split()) == "3 0.001 missing"
    assert lines[4].startswith("diverged: optimizer.learning_rate=1.0,seed=2: loss or")
    assert lines[5] == f"best by validation accuracy: {tmp_path}/seed=1: 75.00%, test 62.50%"


def test_a_run_without_the_metric_that_runs_are_compared_by(tmp_path: Path) -> None:
    plan = plan_of({"seed": 1})
    write_run(tmp_path / plan.runs[0].name, [0.5], metric="mae", test=0.25)
    outcome = outcome_of(tmp_path / plan.runs[0].name, plan)
    assert (outcome.status, outcome.best, outcome.test) == ("done", None, None)
    assert "its targets have no accuracy" in outcome.reason and "that they have: mae" in (
        outcome.reason
    )


def test_of_error_rates_the_lowest_is_best(tmp_path: Path) -> None:
    plan = dataclasses.replace(plan_of({"seed": 1}, {"seed": 2}), metric="cer")
    for run, rates in zip(plan.runs, ([0.5, 0.25, 0.75], [0.3]), strict=True):
        write_run(tmp_path / run.name, rates, metric="cer", test=0.1)
    outcomes = [outcome_of(tmp_path / run.name, plan) for run in plan.runs]
    assert (outcomes[0].best, outcomes[0].best_step) == (0.25, 2)
    assert best_of(plan, outcomes) == 0
