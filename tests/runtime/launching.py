"""Starts several processes at once, and waits for their ends."""

import os
import socket
import subprocess
import sys

from tests.conftest import QUICK_COMPILATION

Ends = list[tuple[int, str, str]]
"""Exit code, stdout and stderr of each process."""


def free_address() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listening.getsockname()[1]}"


def run_all(commands: list[list[str]]) -> Ends:
    """Runs commands of Python at the same time."""
    own = os.environ | {"XLA_FLAGS": QUICK_COMPILATION}
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, *command], env=own, stdout=pipe, stderr=pipe, text=True)
        for command in commands
    ]
    found = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=240)
            found.append((process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return found


def codes(found: Ends) -> list[int]:
    return [code for code, _, _ in found]
