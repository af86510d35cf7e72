"""Damaged records of a run: one line that names the file, and never a value in silence."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from seqvision.errors import UserError
from seqvision.runs.compatibility import read_settings
from seqvision.runs.data_facts import read_data_facts
from seqvision.runs.metrics_log import MetricsLog
from seqvision.runs.records import mismatch, read_metrics, read_record, read_status
from seqvision.runs.result import finished_result
from seqvision.sweeps.table import FAILURE, csv_text, outcome_of
from tests.data.making import says
from tests.sweeps.plans import plan_of
from tests.sweeps.pretended import write_run

NO_JSON = [b"", b"{", b"\xff\xfe{", b"\0" * 20, b"[" * 100_000, b'{"a": 1} {}']
NO_OBJECT = [b"[]", b"null", b"3", b'"done"', b"true"]
ROW = {"step": 1, "split": "validation", "loss": 0.5, "count": 9, "seconds": 0.25}


@pytest.mark.parametrize("content", [*NO_JSON, *NO_OBJECT])
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("status.json", read_status),
        ("status.json", finished_result),
        ("config.json", read_settings),
        ("environment.json", read_data_facts),
    ],
)
def test_files_that_hold_no_object(tmp_path: Path, name: str, read: Any, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    says(lambda: read(tmp_path), f"{tmp_path / name}: ")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"status": "done"}, "'step' is missing"),
        ({"status": 1, "step": 3}, "'status' is a whole number, and text is needed"),
        ({"status": "done", "step": "3"}, "'step' is text, and a whole number is needed"),
        ({"status": "done", "step": True}, "'step' is true"),
        ({"status": "done", "step": 3}, "'metrics' is missing"),
        ({"status": "dome", "step": 3}, "'status' is 'dome'"),
        ({"status": "done", "step": 3, "metrics": []}, "'metrics' is a list"),
        ({"status": "done", "step": 3, "metrics": {"test": 1}}, "'test' is a whole number"),
        ({"status": "done", "step": 3, "metrics": {"test": {"loss": "x"}}}, "'loss' is text"),
        ({"status": "done", "step": 3, "metrics": {"test": {"each": {"a": 1}}}}, "'a' is a whole"),
    ],
)
def test_a_status_of_another_shape(tmp_path: Path, content: Any, problem: str) -> None:
    (tmp_path / "status.json").write_text(json.dumps(content))
    says(lambda: finished_result(tmp_path), "status.json: damaged (", problem, "restore it")


@pytest.mark.parametrize("field", ["name", "input_shape", "class_names", "fingerprints"])
@pytest.mark.parametrize("value", [None, 3, [None], {"a": 1}])
def test_facts_of_another_shape(tmp_path: Path, field: str, value: Any) -> None:
    facts = {
        **{"name": "a", "version": "1", "background": "dark", "input_shape": [8, 8, 1]},
        **{"class_names": ["a"], "fingerprints": {"train": "0"}},
    }
    (tmp_path / "environment.json").write_text(json.dumps({"data": facts}))
    assert read_data_facts(tmp_path).input_shape == (8, 8, 1)
    (tmp_path / "environment.json").write_text(json.dumps({"data": facts | {field: value}}))
    says(lambda: read_data_facts(tmp_path), "environment.json: damaged (", " is needed)")


@pytest.mark.parametrize("key", ["a.b", "", "data"])
def test_fields_that_no_config_has(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({key: [1]}))
    says(lambda: read_settings(tmp_path), "config.json: not of this version of seqvision")


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"[]", b"\xff", b'{"step": 1}', b"\0\0"),
        json.dumps(ROW | {"step": "1"}).encode(),
        json.dumps(ROW | {"loss": [1]}).encode(),
        json.dumps(ROW | {"seconds": None}).encode(),
    ],
)
def test_a_damaged_row_is_an_error_but_for_one_cut_short(tmp_path: Path, line: bytes) -> None:
    path, whole = tmp_path / "metrics.jsonl", json.dumps(ROW).encode()
    content = whole + b"\n" + line + b"\n" + whole + b"\n"
    path.write_bytes(content)
    says(lambda: MetricsLog(tmp_path, 5), f"{path}: line 2 is damaged (", "delete that line")
    assert path.read_bytes() == content
    path.write_bytes(whole + b"\n" + line)
    assert read_metrics(tmp_path) == [ROW]
    path.write_bytes(whole + b"\n" + whole)  # Whole but for its end.
    assert read_metrics(tmp_path) == [ROW, ROW]


def test_a_pipe_is_not_waited_for_nor_a_link_followed_round(tmp_path: Path) -> None:
    for name, read in (("status.json", read_status), ("metrics.jsonl", read_metrics)):
        os.mkfifo(tmp_path / name)
        says(lambda read=read: read(tmp_path), name, "no regular file")
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to(name)
        says(lambda read=read: read(tmp_path), name, "symbolic links")
    (tmp_path / "folder.json").mkdir()
    says(lambda: read_record(tmp_path / "folder.json"), "folder.json")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("status.json", b"[]"),
        ("status.json", b'{"status": "done", "step": 3, "metrics": {"test": []}}'),
        ("metrics.jsonl", b"\xff\n"),
        ("metrics.jsonl", b'{"step": 1}\n'),
        (FAILURE, b"3"),
    ],
)
def test_one_such_run_ends_no_sweep(tmp_path: Path, name: str, content: bytes) -> None:
    plan = plan_of({"seed": 1}, {"seed": 2})
    for run in plan.runs:
        status = "interrupted" if name == FAILURE else "done"
        write_run(tmp_path / run.name, [0.5], status=status, test=0.25)
    (tmp_path / plan.runs[0].name / name).write_bytes(content)
    outcomes = [outcome_of(tmp_path / run.name, plan) for run in plan.runs]
    assert outcomes[0].status == "failed"
    assert name in outcomes[0].reason
    assert outcomes[1].best == 0.5
    assert len(csv_text(plan, outcomes).splitlines()) == 3


def test_shapes() -> None:
    shape = {"a": int, "b?": [str], "*": (int, float, type(None))}
    for value in ({"a": 1}, {"a": 1, "b": []}, {"a": 1, "b": ["x"], "c": None, "d": 0.5}):
        assert not mismatch(value, shape)
    assert (
        mismatch({"a": 1, "b": [1]}, shape) == "a part of 'b' is a whole number, and text is needed"
    )
    assert mismatch({"a": 1, "c": "x"}, shape) == "'c' is text, and a number is needed"
    with pytest.raises(UserError, match="no run here"):
        read_record(Path("no/such/status.json"))
