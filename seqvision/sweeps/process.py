"""A run of a sweep in a process of its own, so that a crash ends only this run."""

import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

OUTPUT = "output.txt"


def train_command(
    program: Sequence[str], config_path: str, overrides: Mapping[str, Any], workdir: Path
) -> list[str]:
    """The command that trains one run of a sweep; the run ends when its standard input does."""
    changes = [f"--config.{key}={value}" for key, value in overrides.items()]
    return [
        *program,
        f"--config={config_path}",
        *changes,
        "--mode=train",
        f"--workdir={workdir}",
        "--stop_with_input",
        "--report=false",  # The sweep has one page for all.
    ]


class TrainingProcess:
    """A process whose output is appended to `WORKDIR/output.txt`.

    Its standard input ends when this process ends for any reason, even by SIGKILL; the run then
    saves and exits. Ctrl-C in the terminal does not reach it; `interrupt` does.

    Args:
      command: the program and its arguments.
      workdir: the run's folder; created if missing.
      cpus: the logical CPUs it may use; empty for all CPUs of this process.
    """

    def __init__(self, command: Sequence[str], workdir: Path, cpus: Collection[int] = ()) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        self._output = workdir / OUTPUT
        with self._output.open("ab") as output:
            self._start = output.tell()
            before = os.sched_getaffinity(0) if cpus else None
            try:
                if cpus:  # A child process inherits the CPUs of the thread that starts it.
                    os.sched_setaffinity(0, cpus)
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            finally:
                if before is not None:
                    os.sched_setaffinity(0, before)

    def poll(self) -> int | None:
        """The exit code: None while it runs, negative where a signal of that number ended it."""
        code = self._process.poll()
        if code is not None and self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def interrupt(self) -> None:
        """Asks the run to save and exit."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the process at once; checkpoints are kept."""
        self._process.kill()
        self._process.wait()
        self.poll()

    def output(self) -> str:
        """What the process has printed so far."""
        with self._output.open("rb") as output:
            output.seek(self._start)
            return output.read().decode(errors="replace")


def failure_reason(code: int, output: str) -> str:
    """The reason of a failure in one line, from the exit code and the output of a run."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if code < 0:
        name = signal.Signals(-code).name
        return f"ended by {name}" + ("; out of memory?" if name == "SIGKILL" else "")
    return lines[-1].removeprefix("error: ") if lines else f"exit code {code}"
