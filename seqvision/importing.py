"""Import: a run from weights that another library trained."""

import dataclasses
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from seqvision.config.command_line import config_overrides
from seqvision.config.model_schema import CNN_SEQUENCES, IMAGE_CNN_SEQUENCES
from seqvision.config.rules import check_together
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.exporters.output_folder import checked_folder, write_folder
from seqvision.runs.checkpoint import Checkpoints
from seqvision.runs.environment import write_description
from seqvision.runs.files import IMPORTED, write_json, write_status
from seqvision.runs.imported import (
    features_of,
    foreign_source,
    layers_of,
    padding_of,
    with_weights,
)
from seqvision.runs.said import compare, load_said
from seqvision.runs.saved_states import check_path
from seqvision.runtime.console import on_terminal, say
from seqvision.training.best import Evaluations
from seqvision.training.from_config import create_training
from seqvision.weights import name_map, own_layers
from seqvision.weights.fitting import implied
from seqvision.weights.layers import Layers


def run(settings: Settings, workdir: Path, inputs: str, check: str, map: list[str] | None) -> int:  # noqa: A002
    """`--mode=import`; returns the exit code."""
    if not inputs:
        raise UserError("--inputs: name the checkpoint, model directory or file of weights")
    if settings.init_from:
        raise UserError("config.init_from: it has no effect with --mode=import; leave it out")
    said = None if check == "true" else expanded(check, "--check")
    given = {name.removeprefix("model.") for name in config_overrides()}
    pairs = name_map.parse(map or ())
    import_weights(settings, workdir, expanded(inputs, "--inputs"), said, given, pairs)
    return 0


def import_weights(
    settings: Settings,
    workdir: Path,
    weights: Path,
    check: Path | None = None,
    given: Collection[str] = (),
    pairs: Sequence[name_map.Pair] = (),
) -> None:
    """Writes the workdir of a run that has these weights, before its first step.

    Args:
      settings: the config; sizes that the weights leave no choice about are taken from these.
      workdir: a new folder.
      weights: a checkpoint, model directory or file of weights.
      check: an .npz file with `inputs` (N, ...) as they were fed and the `probabilities` (N, K)
        that the source gave.
      given: fields of `config.model` that the weights must not change.
      pairs: names of the source and of ours, see `name_map.renamed`.

    Raises:
      UserError: the weights cannot be read or do not fit, or give other probabilities; or the
        workdir holds a run.
    """
    said = None if check is None else load_said(check)
    check_path(workdir)
    workdir.parent.mkdir(parents=True, exist_ok=True)
    target = checked_folder(str(workdir), "--workdir")
    source, names = name_map.renamed(foreign_source(weights), pairs)
    with names.in_errors():
        layers = layers_of(weights, source)
    if settings.num_seeds > 1:
        raise UserError(
            f"config.num_seeds: {settings.num_seeds}; one network is imported, set it to 1"
        )
    fields = implied(layers)
    _check_sequence(settings.model.sequence, layers)
    dataset = load_dataset(settings, say, on_terminal())
    padding = padding_of(layers, dataset.input_shape)
    if padding is not None:
        fields["cnn_padding"] = padding
    settings, overrides = _with_model(settings, fields, given)
    setup = create_training(settings, dataset)
    state = setup.replicas.create_state(setup.init, setup.mesh)
    with names.in_errors():
        state, lines = with_weights(state, source, layers, dataset.input_shape)
    names.check(own_layers.write(layers, features_of(layers, dataset.input_shape)))
    for line in lines:
        say(names.in_table(line))
    if said is not None:
        say(compare(settings, setup.task, state.params, setup.input_shape, said))

    def write(folder: Path) -> None:
        write_description(settings, dataset, setup.mesh, folder, 0, None)
        record = {"kind": source.kind, "weights": str(weights)}
        named = {"map": [":".join(pair) for pair in pairs]} if pairs else {}
        write_json(folder / IMPORTED, record | named)
        with Checkpoints(folder, settings.checkpoint.keep, say) as checkpoints:
            checkpoints.save(state, dataclasses.asdict(Evaluations()) | {"seconds": 0.0}, None)
            checkpoints.wait()
        write_status(folder, "interrupted", 0)

    write_folder(target, write, "--workdir")
    say(f"imported to {workdir}; --mode=evaluate evaluates it, without --mode it trains on")
    if overrides:
        say(f"  both with {' '.join(overrides)}")


def _check_sequence(sequence: str, layers: Layers) -> None:
    """Raises UserError where the config has a CNN and the weights have none, or the reverse."""
    with_cnn = ("frames",) if layers.is_per_frame else IMAGE_CNN_SEQUENCES
    if layers.convolutions and sequence not in with_cnn:
        what = "a CNN for each frame" if layers.is_per_frame else "a CNN"
        raise UserError(
            f"config.model.sequence: {sequence}, and the weights have {what}; choose"
            f" {' or '.join(with_cnn)}"
        )
    if not layers.convolutions and sequence in CNN_SEQUENCES:
        raise UserError(
            f"config.model.sequence: {sequence}, and the weights have no CNN; choose rows, columns,"
            " pixels or patches"
        )


def _with_model(
    settings: Settings, fields: dict[str, Any], given: Collection[str]
) -> tuple[Settings, list[str]]:
    """The settings with these fields of `config.model`, and the overrides that say them."""
    overrides = []
    for name, value in fields.items():
        before = getattr(settings.model, name)
        if before == value:
            continue
        if name in given:
            raise UserError(
                f"config.model.{name}: {before}, and the weights are of {value}; leave it out"
            )
        say(f"config.model.{name}: {value}, as the weights are (the config has {before})")
        overrides.append(f"--config.model.{name}={shlex.quote(str(value))}")
    settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, **fields))
    check_together(settings)
    return settings, overrides
