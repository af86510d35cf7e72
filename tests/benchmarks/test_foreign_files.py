"""A fixed part of the foreign and mutated files, read as in training and prediction."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.checks.foreign_cases import Case
from benchmarks.checks.foreign_files import all_cases
from benchmarks.checks.foreign_uses import in_training, outcome_of
from seqvision.errors import UserError

_EVERY = 27
CASES = all_cases(seed=1)


def test_there_are_many_of_different_names() -> None:
    assert len(CASES) > 1000
    assert len({case.name for case in CASES}) > 1000
    assert [case.name for case in all_cases(seed=1)] == [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES[::_EVERY], ids=lambda case: case.name)
def test_a_right_answer_or_one_line(case: Case, tmp_path: Path) -> None:
    outcome = in_training(case, tmp_path)
    assert outcome.result != "failed", outcome.words


def raising(error: Exception) -> Callable[[], str]:
    def action() -> str:
        raise error

    return action


def writing() -> str:
    os.write(2, b"a word of a C library")
    return ""


@pytest.mark.parametrize(
    ("action", "result"),
    [
        (lambda: "", "answer"),
        (lambda: "other pixels", "failed"),
        (raising(UserError("one line")), "refused"),
        (raising(UserError("two\nlines")), "failed"),
        (raising(UserError("")), "failed"),
        (raising(ValueError("x")), "failed"),
        (writing, "failed"),
    ],
)
def test_what_is_a_failure(action: Callable[[], str], result: str) -> None:
    assert outcome_of(action).result == result


def test_other_pixels_and_a_refusal_of_a_whole_file_are_failures(tmp_path: Path) -> None:
    right = next(case for case in CASES if case.name == "untouched: grey.png")
    wrong = dataclasses.replace(right, known=np.asarray(right.known) ^ 1)
    assert in_training(wrong, tmp_path / "a") == ("failed", "other pixels")
    broken = dataclasses.replace(right, write=lambda folder: folder / "missing.png")
    assert in_training(broken, tmp_path / "b").words.startswith("refused: ")
