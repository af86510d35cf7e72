"""The mode `sweep`: what it refuses, and that kills and interruptions of real runs do not show."""

import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs import default
from seqvision.runs.files import STATUS
from seqvision.runs.records import read_record
from seqvision.sweep import train_sweep
from seqvision.sweeps import scheduler
from seqvision.sweeps.process import OUTPUT
from tests.commands import environment, main_here
from tests.conftest import QUICK_COMPILATION
from tests.data.making import says
from tests.sweeps.pretended import Machine
from tests.sweeps.test_process import wait_for
from tests.sweeps.test_scheduler import pure

BODY = "from configs.default import get_config\n"


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("", {}, "has no get_sweep()"),
        ("def get_sweep(): return []", {}, "it returns an empty list"),
        ("def get_sweep(): return {'seed': 1}", {}, "it returns a dict"),
        ("def get_sweep(): return 1 / 0", {}, "ZeroDivisionError: division by zero"),
        ("def get_sweep(): return [{'sed': 1}]", {}, "did you mean 'seed'?"),
        ("def get_sweep(): return [{'seed': 1}]", {"overrides": {"seed": 2}}, "the sweep varies"),
        ("def get_sweep(): return [{'seed': 1}]", {"shard": "1/1"}, "'1/1' is no shard"),
    ],
)
def test_bad_sweeps_end_before_anything_is_written(
    tmp_path: Path, text: str, more: dict[str, Any], message: str
) -> None:
    (tmp_path / "own.py").write_text(BODY + text)
    arguments = {"overrides": {}, "workdir": tmp_path / "out", "program": ["none"]} | more
    says(lambda: train_sweep(default.get_config(), f"{tmp_path}/own.py", **arguments), message)
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["own.py"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.seed=2",), "the sweep varies it"),
        (("--sweep_shard=1/1",), "'1/1' is no shard"),
        (("--sweep_workers=0",), "--sweep_workers=0"),
        (("--measure_peak",), "--measure_peak: it has"),
        (("--mode=train", "--sweep_workers=1"), "--sweep_workers: it has no effect"),
        (("--mode=evaluate", "--sweep_shard=0/1"), "--sweep_shard: it has no effect"),
    ],
)
def test_flags_of_sweeps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "own.py").write_text(f"{BODY}def get_sweep(): return [{{'seed': 1}}]")
    command = (f"--config={tmp_path}/own.py", f"--workdir={tmp_path}/out", "--mode=sweep")
    says(lambda: main_here(monkeypatch, *command, *arguments), message)
    assert not (tmp_path / "out").exists()


def test_a_shard_of_a_sweep_with_a_field_set_for_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine, given = Machine(tmp_path / "out"), []
    monkeypatch.setattr(
        scheduler, "launcher", lambda *arguments: given.append(arguments) or machine
    )
    monkeypatch.setattr(scheduler, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(scheduler, "_draw", lambda *arguments: None)
    (tmp_path / "own.py").write_text(
        f"{BODY}def get_sweep(): return [{{'seed': n}} for n in range(4)]"
    )
    config, overrides = default.get_config(), {"data.batch_size": 8}
    path, workdir = f"{tmp_path}/own.py", tmp_path / "out"
    assert train_sweep(config, path, overrides, workdir, ["python"], shard="1/2") == 0
    assert machine.started == ["seed=1", "seed=3"]
    assert given == [(["python"], path, overrides, workdir, 1)]
    assert len((workdir / "sweep.csv").read_text().splitlines()) == 5


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
    config.model.recurrent_init = "identity"  # An orthogonal matrix takes seconds to compile.
    config.duration = "2000 steps"
    config.log_every = config.checkpoint.every = "100 steps"
    config.evaluate_every = "500 steps"
    return config

def get_sweep():
    return grid({"model.sequence": ["rows", "patches"]})
"""


def test_a_sweep_killed_and_interrupted_ends_as_uninterrupted(
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.arange(240) % 3
    images = rng.integers(0, 90, (240, 6, 6)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 60
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    (tmp_path / "own.py").write_text(OWN)

    # The whole sweep is run by this process, the cut one by others.
    path, cut, program = tmp_path / "own.py", tmp_path / "cut", [sys.executable, "main.py"]
    config = runpy.run_path(str(path))["get_config"]()
    monkeypatch.setenv("XLA_FLAGS", QUICK_COMPILATION)
    whole = (config, str(path), {"seed": 1}, tmp_path / "whole", program)
    assert train_sweep(*whole, num_workers=2) == 1
    assert "patches of 4x4 do not tile images of 6x6" in capsys.readouterr().out
    command = [*program, f"--config={path}", "--config.seed=1", "--mode=sweep"]
    command += ["--sweep_workers=2", f"--workdir={cut}"]

    def has_stepped(attempt: int) -> bool:
        path = cut / "model.sequence=rows" / OUTPUT
        said = path.read_text() if path.exists() else ""
        *before, last = said.split("\nworkdir ")  # A line at the start of each attempt.
        return len(before) == attempt and "\nstep " in last

    for attempt, number in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
        shard = [*command, "--sweep_shard=0/2"]
        process = subprocess.Popen(shard, env=environment(), stdout=subprocess.PIPE)
        wait_for(lambda attempt=attempt: has_stepped(attempt))
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    status = read_record(cut / "model.sequence=rows" / STATUS)
    assert status["status"] == "interrupted"
    assert subprocess.run(command, env=environment(), stdout=subprocess.PIPE).returncode == 1
    tables = [pure((tmp_path / name / "sweep.csv").read_text()) for name in ("whole", "cut")]
    assert tables[0] == tables[1]
    assert [row[2] for row in tables[0][1:]] == ["done", "failed"]
