"""Many processes, for real: they meet over loopback, train as one, and lose each other."""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seqvision.errors import BusyError, UserError
from seqvision.runs.lock import exclusive
from seqvision.runtime import cluster
from seqvision.runtime.cluster import FLAGS, OPEN_MPI, SLURM, TPU_POD, Cluster, find_cluster
from tests.test_train import arrays, assert_same_run, rows

NAMES = (
    "SLURM_JOB_ID",
    "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_SIZE",
    "TPU_PROCESS_ADDRESSES",
    "TPU_WORKER_HOSTNAMES",
    "TPU_SKIP_MDS_QUERY",
    "MEGASCALE_NUM_SLICES",
    "JAX_PLATFORMS",
)


# --- who belongs together ---


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, None),
        # What a real SLURM sets: a batch script of two tasks, a step of one, a step of two.
        ({"SLURM_JOB_ID": "2", "SLURM_NTASKS": "2"}, None),
        ({"SLURM_JOB_ID": "2", "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"}, None),
        (
            {"SLURM_JOB_ID": "2", "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"},
            Cluster(SLURM, 2),
        ),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, None),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, Cluster(OPEN_MPI, 4)),
        # No TPU lies in this machine, whatever the variables say.
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, None),
    ],
)
def test_what_started_this_process(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], found: Cluster | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_cluster("", None, None) == found


class _Metadata(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path.endswith("/instance/attributes/worker-network-endpoints")
        asked_well = self.headers["Metadata-Flavor"] == "Google"
        self.send_response(200 if known and asked_well else 404)
        self.end_headers()
        self.wfile.write(b"w0:1:10.0.0.1,w1:2:10.0.0.2,w2:3:10.0.0.3,w3:4:10.0.0.4")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def _metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Metadata)
    monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("_alone", "_metadata")
@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, Cluster(TPU_POD, 4)),
        ({"TPU_SKIP_MDS_QUERY": "1"}, None),  # Colab, and other single hosts.
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, Cluster(TPU_POD, 2)),
        ({"TPU_WORKER_HOSTNAMES": "a", "MEGASCALE_NUM_SLICES": "2"}, Cluster(TPU_POD, 2)),
        ({"JAX_PLATFORMS": "cpu"}, None),
    ],
)
def test_what_a_tpu_machine_is_part_of(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    found: Cluster | None,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "accel0").touch()
    monkeypatch.setattr(cluster, "DEVICES", tmp_path)
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name == "libtpu")
    assert find_cluster("", None, None) == found


@pytest.mark.parametrize(
    ("address", "count", "process", "words"),
    [
        ("10.0.0.1:8476", 2, None, "--process_id: missing"),
        ("", 2, 0, "--coordinator_address: missing"),
        ("10.0.0.1", 2, 0, "'10.0.0.1' is not host:port"),
        ("10.0.0.1:http", 2, 0, "is not host:port"),
        ("10.0.0.1:8476", 2, 2, "2 is out of range; 2 processes are numbered 0 to 1"),
    ],
)
def test_flags_that_make_no_sense(
    address: str, count: int | None, process: int | None, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        find_cluster(address, count, process)


def test_flags_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    assert find_cluster("here:80", 2, 1) == Cluster(FLAGS, 2, "here:80", 1)
    assert find_cluster("", 1, None) is None  # As each run of a sweep.


# --- processes ---


def free_address() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listening.getsockname()[1]}"


def start(command: list[str], workdir: Path) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    return subprocess.Popen(
        [sys.executable, *command],
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


Ends = list[tuple[int, str, str]]
"""Exit code, stdout and stderr of each process."""


def ends(processes: list[subprocess.Popen[str]]) -> Ends:
    found = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=240)
            found.append((process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return found


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of a few steps on made images of four classes, 8 x 8."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    images = (rng.integers(0, 60, (400, 8, 8)) + 40 * labels[:, None, None]).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "tiny.npz"
    np.savez(path, images=images, labels=labels)
    fields = {
        "data.source": "npz",
        "data.path": path,
        "data.batch_size": 16,
        # The last batch of a split is not full, and no split is a multiple of the devices.
        "data.eval_batch_size": 24,
        "data.validation_fraction": 0.2,
        "data.test_fraction": 0.2,
        "model.hidden_size": 8,
        "model.execution": "scan",
        "augment.max_shift": 1.0,
        "duration": "12 steps",
        "log_every": "4 steps",
        "evaluate_every": "4 steps",
        "checkpoint.every": "2 steps",
    }
    return [
        "--config=configs/row_lstm.py",
        *(f"--config.{name}={value}" for name, value in fields.items()),
    ]


def together(
    options: list[str],
    workdir: Path,
    count: int = 2,
    *more: str,
    devices: int = 1,
    program: tuple[str, ...] = ("main.py",),
    splits: tuple[str, ...] = (),
) -> Ends:
    """Trains in `count` processes, and returns how they ended; each with a split of its own."""
    address = free_address()
    return ends(
        [
            start(
                [
                    *program,
                    *options,
                    f"--workdir={workdir}",
                    f"--host_devices={devices}",
                    f"--coordinator_address={address}",
                    f"--num_processes={count}",
                    f"--process_id={process}",
                    *more,
                    *(f"--split={split}" for split in splits[process : process + 1]),
                ],
                workdir,
            )
            for process in range(count)
        ]
    )


def with_signal(process: int, step: int, number: int) -> tuple[str, ...]:
    return ("-m", "tests.runtime.one_of_many", "signal", str(process), str(step), str(int(number)))


def codes(found: Ends) -> list[int]:
    return [code for code, _, _ in found]


@pytest.fixture(scope="module")
def two(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes of one device each, uninterrupted."""
    workdir = tmp_path_factory.mktemp("runs") / "two"
    found = together(options, workdir)
    assert codes(found) == [0, 0], found
    (_, first, _), (_, second, _) = found
    assert "16 = 2 device(s) x 8, in 2 processes" in first and "done after 12 steps" in first
    assert not second
    assert json.loads((workdir / "environment.json").read_text())["processes"] == 2
    assert json.loads((workdir / "status.json").read_text())["status"] == "done"
    assert len(list((workdir / "tensorboard").iterdir())) == 1
    return workdir


def test_the_same_functions_in_each() -> None:
    address = free_address()
    command = ["-m", "tests.runtime.one_of_many", "meet", "200", address, "2"]
    found = ends([start([*command, str(process)], Path()) for process in range(2)])
    assert codes(found) == [2, 2], found
    (_, first, why), (_, second, own) = found
    assert first.strip() == "said once" and not second
    assert why.strip().endswith("error: another process failed; see its output for the reason")
    assert own.strip().endswith("error: no data here")


def test_they_do_not_wait_for_ever() -> None:
    for process in range(2):
        command = [
            "-m",
            "tests.runtime.one_of_many",
            "meet",
            "1.5",
            free_address(),
            "2",
            str(process),
        ]
        [(code, _, error)] = ends([start(command, Path())])
        assert code == 2
        assert "error: the 2 processes did not connect at 127.0.0.1:" in error
        assert "within 2 s; start all of them" in error


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
    options: list[str], two: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    one = tmp_path / "one"
    command = ["main.py", *options, f"--workdir={one}", "--host_devices=8"]
    found = ends([start(command, one)])
    assert codes(found) == [0], found
    assert_alike(two, one)
    four = tmp_path / "four"
    found = together(options, four, 4, "--config.data.resident_bytes=100", devices=2)
    assert "streamed" in found[0][1]
    assert codes(found) == [0] * 4, found
    assert_alike(two, four)


def test_a_lost_process_ends_all_and_the_rerun_resumes(
    options: list[str], two: Path, tmp_path: Path
) -> None:
    workdir = tmp_path / "lost"
    found = together(options, workdir, program=with_signal(1, 4, signal.SIGKILL))
    assert codes(found) == [1, -signal.SIGKILL], found
    assert "error: process 0 of 2 lost another one, or the connection to it" in found[0][2]
    assert "the same command goes on from step " in found[0][2]
    # Where the first is lost, jax ends the others; mostly they have said the same before.
    found = together(options, workdir, program=with_signal(0, 6, signal.SIGKILL))
    assert codes(found)[0] == -signal.SIGKILL and codes(found)[1] != 0, found
    found = together(options, workdir, program=with_signal(1, 8, signal.SIGTERM))
    assert codes(found) == [128 + signal.SIGTERM] * 2, found
    assert "saved at step " in found[0][1] and not found[1][1]
    status = json.loads((workdir / "status.json").read_text())
    assert status["status"] == "interrupted"
    alone = tmp_path / "alone"
    shutil.copytree(workdir, alone)
    assert codes(together(options, workdir)) == [0, 0]
    assert_same_run(two, workdir)
    # What two processes saved, one process of another number of devices goes on with.
    command = ["main.py", *options, f"--workdir={alone}", "--host_devices=4"]
    [(code, out, _)] = ends([start(command, alone)])
    assert code == 0
    assert "with 4 device(s) where it had 2 and 1 process(es) where it had 2: equal but" in out
    assert_alike(two, alone)


def test_evaluation_counts_each_example_once(options: list[str], two: Path, tmp_path: Path) -> None:
    printed = []
    for count in (1, 2):
        output = tmp_path / f"{count}.csv"
        more = ("--mode=evaluate", f"--output={output}")
        if count == 2:
            found = together(options, two, 2, *more)
            assert not found[1][1]
        else:
            command = ["main.py", *options, f"--workdir={two}", "--host_devices=1", *more]
            found = ends([start(command, two)])
        assert codes(found) == [0] * count, found
        printed.append(found[0][1].replace(str(output), ""))
    assert printed[0] == printed[1]
    first, second = ((tmp_path / f"{count}.csv").read_text() for count in (1, 2))
    assert len(first.splitlines()) > 60 and first == second
    found = together(options, two, 2, "--mode=evaluate", splits=("test", "validation"))
    assert codes(found) == [2, 2], found
    assert "the 2 processes do not see the same config and flags; give each" in found[0][2]


def test_what_fails_in_one_fails_in_all(options: list[str], tmp_path: Path) -> None:
    workdir = tmp_path / "locked"
    with exclusive(workdir):
        found = together(options, workdir)
    assert codes(found) == [BusyError.exit_code, 2], found
    assert "is training here" in found[0][2]
    assert "error: another process failed; see its output for the reason" in found[1][2]
    found = together(options, tmp_path / "odd", 2, "--config.data.batch_size=15")
    assert codes(found) == [2, 2], found
    words = "15 examples cannot be shared evenly by 2 devices in 2 processes; choose a multiple"
    assert words in found[0][2]
