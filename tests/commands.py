"""Command lines for `main.py`: run as a process, or in this one."""

import os
import subprocess
import sys

import pytest
from absl.testing import flagsaver

import seqvision.config.flags  # noqa: F401  (defined here, they outlast `flagsaver`)
from seqvision.__main__ import main as run_main
from tests.conftest import QUICK_COMPILATION

CONFIG = "--config=configs/row_lstm.py"
# The default workdir may hold a run: that of the README's first command.
NO_RUN = "--workdir=runs/there-is-none"


def environment(**more: str) -> dict[str, str]:
    """Of a process: this one's, but for the width of the terminal and its devices."""
    clean = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    return clean | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_COMPILATION} | more


def main(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own; `more` is its environment."""
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=300,
    )


def main_here(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The same in this process, which has jax imported already: seconds less. Returns or raises."""
    command = ["main.py", *arguments]
    monkeypatch.setattr(sys, "argv", command)  # ml_collections reads overrides from there.
    with flagsaver.flagsaver():
        return run_main(command)
