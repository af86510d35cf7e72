"""Import: a run from weights that another library trained."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqvision.config.command_line import config_overrides
from seqvision.config.rules import check_together
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.runs.checkpoint import Checkpoints, check_path
from seqvision.runs.environment import write_description
from seqvision.runs.files import progress_files, write_status
from seqvision.runs.imported import foreign_layers, padding_of, with_weights
from seqvision.runs.lock import exclusive
from seqvision.runtime.console import on_terminal, say
from seqvision.training.best import Evaluations
from seqvision.training.from_config import TrainingSetup, create_training
from seqvision.weights.fitting import implied

ALLOWED = 1e-5
"""Largest difference of a probability from what the source said."""


def run(settings: Settings, workdir: Path, inputs: str, check: str) -> int:
    """`--mode=import`; returns the exit code."""
    if not inputs:
        raise UserError("--inputs: name the checkpoint, model directory or file of weights")
    if check == "false":
        raise UserError("--check: name an .npz file of inputs and probabilities, or leave it out")
    said = None if check == "true" else expanded(check, "--check")
    given = {name.removeprefix("model.") for name in config_overrides()}
    import_weights(settings, workdir, expanded(inputs, "--inputs"), said, given)
    return 0


def import_weights(
    settings: Settings,
    workdir: Path,
    weights: Path,
    check: Path | None = None,
    given: Collection[str] = (),
) -> None:
    """Writes the workdir of a run that has these weights, before its first step.

    Args:
      settings: the config; sizes that the weights leave no choice about are taken from these.
      workdir: a new folder.
      weights: a checkpoint, model directory or file of weights.
      check: an .npz file with `inputs` (N, ...) as they were fed and the `probabilities` (N, K)
        that the source gave.
      given: fields of `config.model` that the weights must not change.

    Raises:
      UserError: the weights cannot be read or do not fit, or give other probabilities; or the
        workdir holds a run.
    """
    said = None if check is None else _said(check)
    if progress_files(workdir):
        raise UserError(f"--workdir: {workdir} holds a run; choose a new folder")
    source, layers = foreign_layers(weights)
    if settings.num_seeds > 1:
        raise UserError(
            f"config.num_seeds: {settings.num_seeds}; one network is imported, set it to 1"
        )
    settings = _with_model(settings, implied(layers), given)
    dataset = load_dataset(settings, say, on_terminal())
    input_shape = dataset.input_shape
    padding = padding_of(layers, input_shape)
    if padding is not None:
        settings = _with_model(settings, {"cnn_padding": padding}, given)
    setup = create_training(settings, dataset)
    state = setup.replicas.create_state(setup.init, setup.mesh)
    state, lines = with_weights(state, source, layers, input_shape, settings.optimizer.beta2)
    for line in lines:
        say(line)
    if said is not None:
        say(_compared(setup, state.params, *said))
    check_path(workdir)
    with exclusive(workdir):
        write_description(settings, dataset, setup.mesh, workdir, 0, None)
        with Checkpoints(workdir, settings.checkpoint.keep, say) as checkpoints:
            checkpoints.save(state, dataclasses.asdict(Evaluations()) | {"seconds": 0.0}, None)
            checkpoints.wait()
        write_status(workdir, "interrupted", 0)
    say(f"imported to {workdir}; --mode=evaluate evaluates it, without --mode it trains on")


def _with_model(settings: Settings, fields: dict[str, Any], given: Collection[str]) -> Settings:
    """The settings with these fields of `config.model`, said where they are others."""
    for name, value in fields.items():
        before = getattr(settings.model, name)
        if before == value:
            continue
        if name in given:
            raise UserError(
                f"config.model.{name}: {before}, and the weights are of {value}; leave it out"
            )
        say(
            f"config.model.{name}: {value}, as the weights are (the config has {before}); give"
            f" --config.model.{name}={value} to what uses the run"
        )
    settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, **fields))
    check_together(settings)
    return settings


def _said(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            inputs, probabilities = arrays["inputs"], arrays["probabilities"]
    except KeyError as error:
        raise UserError(
            f"--check: {path} has no array {error}; inputs and probabilities are needed"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"--check: {path} is no .npz file of arrays ({error})") from error
    if len(inputs) != len(probabilities):
        raise UserError(
            f"--check: {path} has {len(inputs)} inputs and {len(probabilities)} probabilities"
        )
    return inputs.astype(np.float32), probabilities


def _compared(
    setup: TrainingSetup, params: Any, inputs: np.ndarray, probabilities: np.ndarray
) -> str:
    """A line about the largest difference.

    Raises:
      UserError: it is more than `ALLOWED`.
    """
    try:
        shaped = inputs.reshape(len(inputs), *setup.input_shape)
    except ValueError as error:
        raise UserError(
            f"--check: inputs of shape {inputs.shape}, and the network reads {setup.input_shape}"
        ) from error
    with jax.default_matmul_precision("highest"):
        logits = jax.jit(setup.model.apply)({"params": params}, shaped)
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
            f"--check: {line}, more than {ALLOWED:g}: the program computed something else (another"
            " scale of its inputs, padding, activation or order of its layers)"
        )
    return line
