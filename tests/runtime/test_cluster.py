"""The cluster that a process finds itself in, by flags, SLURM, Open MPI or a TPU machine."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqvision.errors import UserError
from seqvision.runtime import cluster
from seqvision.runtime.cluster import FLAGS, OPEN_MPI, SLURM, TPU_POD, Cluster, find_cluster

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
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
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
