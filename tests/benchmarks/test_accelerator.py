"""Parts on an accelerator: one that fails, one that outlives its limit, and what they leave."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accelerator import __main__ as command_line
from benchmarks.accelerator.record import Record
from benchmarks.accelerator.runner import run_parts
from benchmarks.accelerator.step_cases import Sizes, groups
from benchmarks.accelerator.tables import markdown
from benchmarks.accelerator.wheels import requirements

_FACTS: dict[str, Any] = {
    "command": "python -m benchmarks.accelerator",
    "date": "today",
    "commit": "abc",
    "card": "NVIDIA H100",
    "versions": {"jax": "0.11.2", "torch": "2.11.0"},
    "machine": {"cpu": "a CPU", "cores": 2},
}
_WRITE = 'import json, sys, time; open(sys.argv[1], "w").write(json.dumps(%r)); %s'


def _row(number: int) -> dict[str, Any]:
    return {"rows": [{"table": "Times", "case": "a", "ms": float(number)}]}


def _run(tmp_path: Path, codes: dict[str, str], seconds: float) -> tuple[bool, dict[str, Any]]:
    def command(name: str, path: Path, limit: float) -> list[str]:
        return [sys.executable, "-S", "-c", codes[name], str(path)]

    is_well = run_parts(dict.fromkeys(codes, 1.0), command, seconds, tmp_path, _FACTS, {})
    return is_well, json.loads((tmp_path / "results.json").read_text())["parts"]


def test_a_part_that_fails_says_why_and_the_next_one_runs(tmp_path: Path) -> None:
    failing = _WRITE % (_row(1), "print('so it is', file=sys.stderr); sys.exit(3)")
    is_well, parts = _run(tmp_path, {"one": failing, "two": _WRITE % (_row(2), "pass")}, 60)
    assert not is_well
    assert (parts["one"]["status"], parts["two"]["status"]) == ("failed", "done")
    assert parts["one"]["stderr"] == ["so it is"]
    assert parts["one"]["rows"] == _row(1)["rows"] and parts["two"]["rows"] == _row(2)["rows"]
    text = (tmp_path / "results.md").read_text()
    assert "one: FAILED" in text and "so it is" in text and "NVIDIA H100; jax 0.11.2" in text


def test_a_part_is_killed_at_its_limit_with_all_that_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = f"import time; time.sleep(1.6); open({str(alive)!r}, 'w')"
    start_it = f"import subprocess; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    began = time.monotonic()
    is_well, parts = _run(
        tmp_path, {"one": _WRITE % (_row(1), start_it), "two": "pass"}, seconds=2.4
    )
    assert not is_well
    assert parts["one"]["status"] == "cut" and parts["one"]["rows"] == _row(1)["rows"]
    assert parts["two"]["status"] == "done"
    time.sleep(max(0, began + 2.2 - time.monotonic()))
    assert not alive.exists()


def test_all_that_ends_well_is_well(tmp_path: Path) -> None:
    assert _run(tmp_path, {"one": _WRITE % (_row(1), "pass")}, 60)[0]


def test_a_record_is_on_disk_after_every_case(tmp_path: Path) -> None:
    record = Record(tmp_path / "part.json", 60, rehearse=True)
    record.add("Times", ms=1.5)
    with record.case("bad"):
        raise ValueError("no such size\nmore")
    record.leave_out("other", "no time left")
    found = json.loads((tmp_path / "part.json").read_text())
    assert found["rows"] == [{"table": "Times", "ms": 1.5}] and record.has_failed
    assert found["failed"] == [{"case": "bad", "reason": "ValueError: no such size"}]
    text = markdown(_FACTS | {"parts": {"a": found | {"status": "failed", "seconds": 1}}}, "ab")
    assert "| 1.5 |" in text and "- bad: ValueError" in text and "Not run (yet): b" in text


def test_the_work_of_a_step() -> None:
    """8 T H (3H + 2D) per image: 12.6 MFLOP at H=128, T=28, D=28."""
    sizes = Sizes(128, 1, "tf32")
    assert round(sizes.flops("training") / 1e6, 1) == 12.6
    # Forward: a product of (D + H) by 4H at each step, 2 operations for each multiply-add.
    assert sizes.flops("forward") == 28 * 2 * (28 + 128) * 4 * 128


def test_no_size_is_measured_twice() -> None:
    names = [sizes.name for group in groups(rehearse=False) for sizes in group]
    assert len(names) == len(set(names)) and names[0] == "H=128 B=128 T=28 D=28 tf32"


def test_wheels_are_pinned() -> None:
    assert all(line.count("==") == 1 for line in requirements()) and len(requirements()) > 5


def test_an_unknown_part_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(command_line.UserError, match="'stes' is not known"):
        command_line.main(["--parts=stes", f"--output={tmp_path}", "--rehearse"])
