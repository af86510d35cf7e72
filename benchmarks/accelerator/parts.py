"""The parts, most important first, and what each takes of the time."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.accelerator.record import Record

PARTS = {"parity": 70, "steps": 140, "flags": 20, "runs": 160, "pixels": 70, "live": 20}
"""Seconds of each in 8 minutes. Part NAME is `benchmarks.accelerator.NAME.run(record)`."""


def command(name: str, path: Path, seconds: float, rehearse: bool) -> list[str]:
    """Runs one part in a process."""
    arguments = [name, str(path), str(seconds), str(int(rehearse))]
    return [sys.executable, "-m", "benchmarks.accelerator.parts", *arguments]


def main(arguments: list[str]) -> int:
    """0 where nothing failed."""
    name, path, seconds, rehearse = arguments
    record = Record(Path(path), float(seconds), bool(int(rehearse)))
    run: Callable[[Record], None] = importlib.import_module(f"benchmarks.accelerator.{name}").run
    run(record)
    return int(record.has_failed)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Threads that wait for a device would keep it alive.
