"""Runs interrupted at a step, and compared with others bit by bit."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from seqvision.runs.saved_states import SavedStates
from seqvision.training.dispatch import StepDispatcher


def rows(workdir: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the seconds, the only thing in it that may differ."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def arrays(workdir: Path) -> dict[str, np.ndarray]:
    """Every array of the newest checkpoint by name."""
    state, _ = SavedStates(workdir).restore_newest()
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def assert_same_run(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGTERM) -> None:
    """Sends this process a real signal when the loop reaches `step`."""
    advance = StepDispatcher.advance

    def advance_and_signal(self: Any, state: Any, at: int) -> Any:
        result = advance(self, state, at)
        if result[0].num_steps >= step:
            os.kill(os.getpid(), number)
        return result

    monkeypatch.setattr(StepDispatcher, "advance", advance_and_signal)
