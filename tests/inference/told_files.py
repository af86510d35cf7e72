"""Readers of files that are none, for processes of their own: importing them needs no jax."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seqvision.errors import UserError
from seqvision.inference.inputs import Input


def told(paths: Iterable[Path], error: bool = False) -> Iterator[Input]:
    """Of each file its number, and the process that reads it."""
    for path in paths:
        if error and path.name == "100":
            raise UserError(f"{path}: not installed")
        time.sleep(0.002)
        yield Input(path.name, np.array([int(path.name), os.getpid()]), None)


def slow(paths: Iterable[Path]) -> Iterator[Input]:
    for path in paths:
        time.sleep(60)
        yield Input(path.name, None, "slow")


def large(paths: Iterable[Path]) -> Iterator[Input]:
    for path in paths:
        yield Input(path.name, np.zeros(2**23, np.uint8), None)
