"""Several processes that train and evaluate as one, and lose each other."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.errors import BusyError
from seqvision.evaluate import evaluate_run
from seqvision.models.execution import choose
from seqvision.runs.lock import exclusive
from seqvision.runtime import processes
from seqvision.train import train_and_evaluate
from tests.conftest import as_arguments
from tests.runtime.launching import Ends, codes, free_address, run_all
from tests.same_run import arrays, assert_same_run, rows


def together(
    config: ConfigDict,
    workdir: Path,
    *more: str,
    count: int = 2,
    devices: int = 1,
    program: tuple[str, ...] = ("main.py",),
) -> Ends:
    """Runs `count` processes of `devices` devices each as one."""
    command = [
        *program,
        *as_arguments(config),
        f"--workdir={workdir}",
        f"--host_devices={devices}",
        f"--coordinator_address={free_address()}",
        f"--num_processes={count}",
        *more,
    ]
    return run_all([[*command, f"--process_id={process}"] for process in range(count)])


def with_signal(process: int, step: int, number: int) -> tuple[str, ...]:
    return ("-m", "tests.runtime.one_of_many", "signal", str(process), str(step), str(int(number)))


@pytest.fixture(scope="session")
def _runs() -> dict[str, Path]:
    return {}


@pytest.fixture
def two(
    tiny_config: ConfigDict, tmp_path_factory: pytest.TempPathFactory, _runs: dict[str, Path]
) -> Path:
    """Two processes of one device each, uninterrupted, once for all tests."""
    if "two" not in _runs:
        workdir = tmp_path_factory.mktemp("runs") / "two"
        found = together(tiny_config, workdir)
        assert codes(found) == [0, 0], found
        (_, first, _), (_, second, _) = found
        assert "12 = 2 device(s) x 6, in 2 processes" in first and "done after 12 steps" in first
        assert not second
        assert json.loads((workdir / "environment.json").read_text())["processes"] == 2
        assert json.loads((workdir / "status.json").read_text())["status"] == "done"
        assert len(list((workdir / "tensorboard").iterdir())) == 1
        _runs["two"] = workdir
    return _runs["two"]


def assert_alike(one: Path, other: Path) -> None:
    """Equal but for rounding; each example counted once."""
    for expected, row in zip(rows(one), rows(other), strict=True):
        for name in ("step", "split", "count"):
            assert row[name] == expected[name]
        np.testing.assert_allclose(row["loss"], expected["loss"], rtol=1e-4)
    first, second = arrays(one), arrays(other)
    for name, array in first.items():
        np.testing.assert_allclose(array, second[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_one_process_or_many_train_alike(
    tiny_config: ConfigDict, two: Path, tmp_path: Path
) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    train_and_evaluate(tiny_config, one)
    assert_alike(two, one)
    tiny_config.data.resident_bytes = 100
    found = together(tiny_config, three, count=3, devices=2)
    assert codes(found) == [0] * 3, found
    assert "12 = 6 device(s) x 2, in 3 processes" in found[0][1] and "streamed" in found[0][1]
    assert_alike(two, three)


def test_a_lost_process_ends_all_and_the_rerun_resumes(
    tiny_config: ConfigDict,
    two: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workdir = tmp_path / "lost"
    found = together(tiny_config, workdir, program=with_signal(1, 4, signal.SIGKILL))
    assert codes(found) == [1, -signal.SIGKILL], found
    assert "error: process 0 of 2 lost another one, or the connection to it" in found[0][2]
    assert "the same command goes on from step " in found[0][2]
    # Where the first is lost, jax ends the others; mostly they have said the same before.
    found = together(tiny_config, workdir, program=with_signal(0, 6, signal.SIGKILL))
    assert codes(found)[0] == -signal.SIGKILL and codes(found)[1] != 0, found
    found = together(tiny_config, workdir, program=with_signal(1, 8, signal.SIGTERM))
    assert codes(found) == [128 + signal.SIGTERM] * 2, found
    assert "saved at step " in found[0][1] and not found[1][1]
    status = json.loads((workdir / "status.json").read_text())
    assert status["status"] == "interrupted"
    alone = tmp_path / "alone"
    shutil.copytree(workdir, alone)
    assert codes(together(tiny_config, workdir)) == [0, 0]
    assert_same_run(two, workdir)
    # One process of another number of devices resumes what two processes saved.
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(jax, "device_count", lambda: 1)
        assert train_and_evaluate(tiny_config, alone).status == "done"
    out = capsys.readouterr().out
    assert "with 1 device(s) where it had 2 and 1 process(es) where it had 2: equal but" in out
    assert_alike(two, alone)


def test_evaluation_counts_each_example_once(
    tiny_config: ConfigDict,
    two: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = [tmp_path / "one.csv", tmp_path / "two.csv"]
    monkeypatch.setattr(choose, "has_vectors", lambda name: False)  # Both run the same program.
    evaluate_run(tiny_config, two, "test", str(outputs[0]))
    found = together(tiny_config, two, "--mode=evaluate", f"--output={outputs[1]}")
    assert codes(found) == [0, 0], found
    assert not found[1][1]
    printed = [capsys.readouterr().out, found[0][1]]
    one, both = (
        text.replace(str(output), "") for text, output in zip(printed, outputs, strict=True)
    )
    assert one == both
    assert outputs[0].read_text() == outputs[1].read_text()
    assert len(outputs[0].read_text().splitlines()) > 60


def test_processes_that_evaluate_compare_their_flags(
    tiny_config: ConfigDict, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check_same` refuses what differs: `test_the_same_functions_in_each`."""
    compared: list[dict[str, Any]] = []
    monkeypatch.setattr(processes, "check_same", compared.append)
    evaluate_run(tiny_config, two, "test")
    evaluate_run(tiny_config, two, "validation")
    evaluate_run(tiny_config, two, "test", str(tmp_path / "out.csv"))
    name = "config and flags; give each the same command"
    assert len({repr(facts[name]) for facts in compared}) == 3


def test_what_fails_in_one_fails_in_all(tiny_config: ConfigDict, tmp_path: Path) -> None:
    workdir = tmp_path / "locked"
    with exclusive(workdir):
        found = together(tiny_config, workdir)
    assert codes(found) == [BusyError.exit_code, 2], found
    assert "is training here" in found[0][2]
    assert "error: another process failed; see its output for the reason" in found[1][2]
