"""A contender's process as its parent sees it, stopped while others are measured."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import IO, Any


class WorkerError(Exception):
    """A contender did not do what was asked: one line saying why."""


class WorkerProcess:
    """A contender's process. It runs only while it is asked something.

    Threads of a waiting OpenMP pool spin, and would slow down the others; so the process is stopped
    (SIGSTOP) whenever it has nothing to answer.

    Args:
      name: the contender.
      command: starts it.
      environment: variables besides this process's own.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._environment = command, dict(environment)
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None

    def start(self) -> dict[str, str]:
        """Starts it unless it runs.

        Returns:
          The versions of its libraries, and its device; empty where it ran already.

        Raises:
          WorkerError: it does not start, or its library is not installed.
        """
        if self._process is not None:
            return {}
        # Not a pipe, which nobody would empty.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in `close`)
        try:
            self._process = subprocess.Popen(
                self._command,
                env=os.environ | self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
            return self._read()["versions"]
        except OSError as error:
            self.close()
            raise WorkerError(f"{self._command[0]}: {error.strerror}") from None
        except WorkerError:
            self.close()
            raise

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Lets it run until it has answered.

        Raises:
          WorkerError: it could not do it, or it ended; `start` starts it anew.
        """
        if self._process is None or self._process.stdin is None:
            raise WorkerError("it does not run")
        try:
            self._process.send_signal(signal.SIGCONT)
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # It ended; reading says how.
        return self._read()

    def kill(self) -> None:
        """From another thread: `ask`, which waits for an answer, fails."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Ends it, whatever it is doing."""
        if self._process is not None:
            self._process.kill()  # Also ends a stopped process.
            self._process.communicate()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _read(self) -> dict[str, Any]:
        """Its next answer. After that it is stopped."""
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            self._process.send_signal(signal.SIGSTOP)
            answer = json.loads(line)
            if "error" in answer:
                raise WorkerError(answer["error"])
            return answer
        reason = f"it ended with exit code {self._process.wait()}{self._last_words()}"
        self.close()
        raise WorkerError(reason)

    def _last_words(self) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return f": {lines[-1][:300]}" if lines else ""


def worker_process(name: str, python: str = sys.executable) -> WorkerProcess:
    """The process of a contender in `worker`, by the interpreter that has its library."""
    environment = {
        # Several contenders share a GPU.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "KERAS_BACKEND": "jax",
        # Otherwise torch.compile keeps a pool of processes.
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    return WorkerProcess(name, [python, "-m", "benchmarks.speed.worker", name], environment)
