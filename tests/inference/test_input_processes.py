"""Files read by several processes: as by one, in order, and none outlives the command."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from seqvision.errors import UserError
from seqvision.inference import input_processes
from seqvision.inference.input_processes import file_processes, read_in_processes
from seqvision.inference.inputs import Input, read_lines
from tests.data.making import save_png

NUMBER = 150


def told(paths: Iterable[Path], error: bool = False) -> Iterator[Input]:
    """Of each file its number, and the process that reads it."""
    for path in paths:
        if error and path.name == "100":
            raise UserError(f"{path}: not installed")
        yield Input(path.name, np.array([int(path.name), os.getpid()]), None)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_processes, "usable_cores", lambda: 2)


def test_several_processes_read_in_the_order_of_the_files() -> None:
    counts: list[int] = []
    paths = [Path(str(number)) for number in range(NUMBER)]
    with file_processes(NUMBER) as pool:
        found = [one.array for one in read_in_processes(told, paths, pool, counts.append)]
    numbers, processes = np.array(found).T
    assert numbers.tolist() == list(range(NUMBER))
    assert sum(counts) == NUMBER
    assert os.getpid() not in processes[8:] and os.getpid() in processes[:8]


def test_files_come_as_from_one_process(tmp_path: Path, rng: np.random.Generator) -> None:
    """Those that cannot be read, too, and arrays of many examples."""
    for number in range(NUMBER):
        ink = rng.integers(0, 256, (12, 20, 1), np.uint8)
        save_png(tmp_path / f"{number:03}.png", ink if number % 10 else np.zeros_like(ink))
    (tmp_path / "050.png").write_bytes(b"no picture")
    np.savez(tmp_path / "051.npz", images=ink[None])
    paths = sorted(tmp_path.iterdir())
    read = functools.partial(read_lines, height=8, invert="auto")
    with file_processes(len(paths)) as pool:
        assert pool is not None
        found = list(read_in_processes(read, paths, pool))
    for one, other in zip(found, read(paths), strict=True):
        assert (one.name, one.error, one.doubt) == (other.name, other.error, other.doubt)
        assert (one.array is None) == (other.array is None)
        if one.array is not None and other.array is not None:
            np.testing.assert_array_equal(one.array, other.array)


def test_few_files_are_read_by_this_process() -> None:
    with file_processes(40) as pool:
        assert pool is None
        paths = [Path(str(number)) for number in range(40)]
        found = [one.array for one in read_in_processes(told, paths, pool)]
    assert np.array(found)[:, 1].tolist() == [os.getpid()] * 40


def test_an_error_of_a_process_is_one_of_the_command() -> None:
    paths = [Path(str(number)) for number in range(NUMBER)]
    read = functools.partial(told, error=True)
    with pytest.raises(UserError, match="100: not installed"), file_processes(NUMBER) as pool:
        list(read_in_processes(read, paths, pool))


def test_a_process_that_is_killed_is_named() -> None:
    paths = [Path(str(number)) for number in range(NUMBER)]
    with pytest.raises(UserError, match="was ended from outside"), file_processes(NUMBER) as pool:
        assert pool is not None
        os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
        list(read_in_processes(told, paths, pool))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_processes_end_with_the_command(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C goes to all processes of the group; after a kill nobody tells them."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from seqvision.inference import input_processes\n"
        "input_processes.usable_cores = lambda: 2\n"
        "if __name__ == '__main__':\n"
        "    with input_processes.file_processes(1000) as pool:\n"
        "        found = {pool.submit(os.getpid).result() for _ in range(50)}\n"
        "        print(*pool._processes, flush=True)\n"
        "        time.sleep(60)\n"
    )
    command = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stdout is not None and command.stderr is not None
    processes = [int(word) for word in command.stdout.readline().split()]
    assert len(processes) == 2
    if number == signal.SIGINT:
        os.killpg(command.pid, number)
    else:
        command.send_signal(number)
    errors = command.communicate(timeout=30)[1]
    assert errors.count("Traceback") == (number == signal.SIGINT), errors  # Of the script alone.
    deadline = time.monotonic() + 30
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
