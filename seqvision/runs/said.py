"""What another program said of inputs, and whether imported weights say the same."""

import dataclasses
import zipfile
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqvision.config.schema import Settings
from seqvision.errors import UserError
from seqvision.tasks.base import Task
from seqvision.tasks.from_config import create_network

ALLOWED = 1e-5
"""Largest difference of a probability."""

_NEEDED = ("inputs", "probabilities")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError)
_MOST_AT_ONCE = 256


def load_said(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, ...) as they were fed, and the probabilities (N, K) that were given.

    Raises:
      UserError: it is no such file.
    """
    try:
        # numpy leaves a file open that it cannot read.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError
            missing = [name for name in _NEEDED if name not in arrays.files]
            if missing:
                raise UserError(f"--check: {path} has no {' and '.join(missing)}; give both arrays")
            inputs, probabilities = (arrays[name] for name in _NEEDED)
    except FileNotFoundError as error:
        raise UserError(f"--check: {path} is not there") from error
    except (OSError, ValueError, *_DAMAGED) as error:
        raise UserError(
            f"--check: {path} is no .npz file of arrays; give one with inputs and probabilities"
        ) from error
    for name, array in zip(_NEEDED, (inputs, probabilities), strict=True):
        is_numbers = array.dtype.kind in "fiu" and array.ndim and array.size
        if not is_numbers or not np.isfinite(array).all():
            raise UserError(
                f"--check: {name} of {path} are {array.shape} of type {array.dtype}; give finite"
                " numbers, at least one"
            )
    if len(inputs) != len(probabilities):
        raise UserError(
            f"--check: {path} has {len(inputs)} inputs and {len(probabilities)} probabilities"
        )
    return inputs.astype(np.float32), probabilities


def compare(
    settings: Settings,
    task: Task,
    params: Any,
    input_shape: tuple[int, ...],
    said: tuple[np.ndarray, np.ndarray],
) -> str:
    """A line about the largest difference of the network's probabilities, in float32.

    Raises:
      UserError: it is more than `ALLOWED`.
    """
    inputs, probabilities = said
    try:
        shaped = inputs.reshape(len(inputs), *input_shape)
    except ValueError as error:
        raise UserError(
            f"--check: inputs of shape {inputs.shape}, and the network reads {input_shape}"
        ) from error
    fields = dataclasses.replace(settings.model, compute_dtype="float32", execution="scan")
    model = create_network(dataclasses.replace(settings, model=fields), task)
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(model.apply)
        pieces = np.array_split(shaped, -(-len(shaped) // _MOST_AT_ONCE))
        logits = np.concatenate([apply({"params": params}, piece) for piece in pieces])
    found = np.asarray(jax.nn.softmax(logits, axis=-1))
    if found.shape != probabilities.shape:
        raise UserError(
            f"--check: probabilities of shape {probabilities.shape}, and the network gives"
            f" {found.shape}"
        )
    difference = float(np.max(np.abs(found - probabilities)))
    line = f"largest difference of {found.size} probabilities: {difference:.1e}"
    if not difference <= ALLOWED:
        raise UserError(
            f"--check: {line}, more than {ALLOWED:g}: the program computed something else (inputs"
            " of another scale or read in another order, another padding or activation)"
        )
    return line
