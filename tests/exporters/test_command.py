"""`--mode=export` on the command line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import QUICK_COMPILATION


def begun(workdir: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, without any override that the run was trained with."""
    command = [sys.executable, "-u", "main.py", "--config=configs/row_lstm.py", "--mode=export"]
    return subprocess.Popen(
        [*command, f"--workdir={workdir}", *arguments],
        env=os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_COMPILATION},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_takes_the_config_of_the_run(run_of_rows: Path, tmp_path: Path) -> None:
    process = begun(run_of_rows, f"--output={tmp_path / 'out'}")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.endswith(f"exported to {tmp_path / 'out'}\n")


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP"), (signal.SIGINT, "Ctrl-C")],
)
def test_a_signal_ends_it_in_one_line_and_leaves_nothing(
    run_of_rows: Path, tmp_path: Path, number: int, name: str
) -> None:
    process = begun(run_of_rows, f"--output={tmp_path / 'out'}")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("network.onnx"):
            break
    assert [path.suffix for path in tmp_path.iterdir()] == [".incomplete"]
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, f"stopped by {name}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--check=false", "--split=test"), "--split: it has no effect with --check=false;"),
        (("--config.model.hidden_size=9",), "9 differs from the run's 40, and --mode=export"),
        (
            ("--format=page", "--onnxruntime_web=~/none", "--output=new"),
            f"there is no {Path.home() / 'none'}/dist/ort.wasm.min.mjs",
        ),
    ],
)
def test_flags_without_effect_or_sense(
    run_of_rows: Path, arguments: tuple[str, ...], message: str
) -> None:
    process = begun(run_of_rows, *arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and message in err and err.count("\n") == 1
