"""Files read by several processes: as by one, in order, and none outlives the command."""

import errno
import functools
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision import predict
from seqvision.errors import UserError
from seqvision.inference import input_processes
from seqvision.inference.input_processes import (
    FileProcesses,
    file_processes,
    read_in_processes,
)
from seqvision.inference.inputs import Input, ReadFiles, read_lines
from tests.commands import CONFIG, main_here
from tests.data.making import save_png
from tests.inference.told_files import told

NUMBER = 150


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_processes, "usable_cores", lambda: 2)


def test_several_processes_read_in_the_order_of_the_files() -> None:
    counts: list[int] = []
    paths = [Path(str(number)) for number in range(NUMBER)]
    with file_processes(NUMBER) as processes:
        found = [one.array for one in read_in_processes(told, paths, processes, counts.append)]
    numbers, readers = np.array(found).T
    assert numbers.tolist() == list(range(NUMBER))
    assert sum(counts) == NUMBER
    assert len(set(readers)) == 2 and os.getpid() not in readers


def test_files_come_as_from_one_process(tmp_path: Path, rng: np.random.Generator) -> None:
    """Those that cannot be read, too, and arrays of many examples."""
    for number in range(NUMBER):
        ink = rng.integers(0, 256, (12, 20, 1), np.uint8)
        save_png(tmp_path / f"{number:03}.png", ink if number % 10 else np.zeros_like(ink))
    (tmp_path / "050.png").write_bytes(b"no picture")
    np.savez(tmp_path / "051.npz", images=ink[None])
    paths = sorted(tmp_path.iterdir())
    read = functools.partial(read_lines, height=8, invert="auto")
    with file_processes(len(paths)) as processes:
        assert processes is not None
        found = list(read_in_processes(read, paths, processes))
    for one, other in zip(found, read(paths), strict=True):
        assert (one.name, one.error, one.doubt) == (other.name, other.error, other.doubt)
        assert (one.array is None) == (other.array is None)
        if one.array is not None and other.array is not None:
            np.testing.assert_array_equal(one.array, other.array)


def test_the_command_starts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[FileProcesses | None] = []

    def predicted(*arguments: Any) -> int:
        given.append(arguments[-1])
        return 0

    monkeypatch.setattr(predict, "predict_files", predicted)
    for number in range(70):
        (tmp_path / f"{number}.png").touch()
    for pattern in ("1*.png", "*.png"):
        flags = "--mode=predict", f"--inputs={tmp_path}/{pattern}", f"--workdir={tmp_path}"
        assert main_here(monkeypatch, CONFIG, *flags) == 0
    few, many = given
    assert few is None and many is not None and many.number == 2


def test_few_files_are_read_by_this_process() -> None:
    paths = [Path(str(number)) for number in range(40)]
    with file_processes(40) as processes:
        assert processes is None
        found = [one.array for one in read_in_processes(told, paths, processes)]
    assert np.array(found)[:, 1].tolist() == [os.getpid()] * 40


def test_this_process_reads_where_none_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", refused)
    with file_processes(NUMBER) as processes:
        assert processes is None


def test_an_error_of_a_process_is_one_of_the_command() -> None:
    paths = [Path(str(number)) for number in range(NUMBER)]
    read = functools.partial(told, error=True)
    with pytest.raises(UserError, match="100: not installed"), file_processes(NUMBER) as processes:
        list(read_in_processes(read, paths, processes))


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**27])
def test_little_is_read_ahead(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Of inputs of so many bytes, or of none that can be read."""
    array = np.broadcast_to(np.uint8(0), size) if size else None
    begun: list[int] = []

    class Processes(FileProcesses):
        def __init__(self) -> None:
            self.number = 2

        def submit(self, read: ReadFiles, chunk: list[Path]) -> Future[list[Input]]:
            begun.append(len(chunk))
            future: Future[list[Input]] = Future()
            future.set_result([Input(path.name, array, None) for path in chunk])
            return future

    paths = [Path(str(number)) for number in range(20_000)]
    inputs = read_in_processes(told, paths, Processes())
    most = 0
    for used, _ in enumerate(itertools.islice(inputs, 10_000)):
        most = max(most, sum(begun) - used)
    assert most <= {0: 64, 1: 4096, 2**20: 64, 2**27: 64}[size] + 32
    if size == 2**27:
        assert sum(begun) - 10_000 <= 4
    assert max(begun) == (32 if size == 1 else 1)


@pytest.mark.parametrize(
    ("end", "files"),
    [("ctrl-c", "slow"), ("ctrl-c", "large"), ("kill", "slow"), ("child killed", "slow")],
)
def test_the_processes_end_with_the_command(tmp_path: Path, end: str, files: str) -> None:
    """In the middle of reading, or of an answer. Ctrl-C goes to all of a group."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from seqvision.inference import input_processes\n"
        "from tests.inference import told_files\n"
        "input_processes.usable_cores = lambda: 2\n"
        "if __name__ == '__main__':\n"
        "    with input_processes.file_processes(1000) as processes:\n"
        "        print(*(process.pid for process in processes._processes), flush=True)\n"
        f"        read, paths = told_files.{files}, [Path('x')] * 1000\n"
        "        for _ in input_processes.read_in_processes(read, paths, processes): 0\n"
    )
    command = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert command.stdout is not None
    processes = [int(word) for word in command.stdout.readline().split()]
    assert len(processes) == 2
    if end == "ctrl-c":
        os.killpg(command.pid, signal.SIGINT)
    else:
        os.kill(command.pid if end == "kill" else processes[0], signal.SIGKILL)
    errors = command.communicate(timeout=20)[1]
    assert ("has ended, perhaps" in errors) == (end == "child killed"), errors
    assert errors.count("Traceback (most recent call last)") == (end != "kill"), errors
    deadline = time.monotonic() + 20
    while any(map(is_running, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, processes))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
