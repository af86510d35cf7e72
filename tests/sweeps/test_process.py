"""Processes of a sweep: their command, output, CPUs and end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from seqvision.sweeps.process import OUTPUT, TrainingProcess, failure_reason, train_command

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
    assert process.output().splitlines()[0] == f"[{cpu}] True"
    assert (tmp_path / OUTPUT).read_text().count("True") == 2
    assert failure_reason(1, process.output()) == "ZeroDivisionError: division by zero"
    assert failure_reason(2, "x\nerror: config.seed: wrong\n\n") == "config.seed: wrong"
    assert failure_reason(3, "") == "exit code 3"
    process = TrainingProcess([sys.executable, "-c", "input()"], tmp_path)
    process.kill()
    assert failure_reason(process.poll() or 0, "") == "ended by SIGKILL; out of memory?"


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
        "--report=false",
    ]
