"""A trained run, loaded from its workdir: settings, facts about its data, network and weights."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from seqvision.config.rules import check_together
from seqvision.config.schema import Settings
from seqvision.errors import UserError
from seqvision.models.backbones.weights import load_backbone
from seqvision.models.execution.choose import why_not_here
from seqvision.runs.compatibility import read_settings
from seqvision.runs.data_facts import DataFacts, read_data_facts
from seqvision.runs.files import BACKBONE
from seqvision.runs.saved_states import SavedStates
from seqvision.runtime.console import say
from seqvision.tasks.base import Task
from seqvision.tasks.from_config import create_network, create_task
from seqvision.training.replicas import Replicas


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained network and the facts needed to use it.

    Attributes:
      workdir: the run's folder.
      settings: the run's config.
      data: shape of its images or clips, names of its classes.
      task: what it was trained for.
      model: images or clips in [0, 1] to logits.
      params: the best weights by validation where the config keeps the best, else the newest; their
        moving average where the config asks for one.
      step: the training step of these weights.
      seed: the seed they were trained with, one of `settings.seeds`.
    """

    workdir: Path
    settings: Settings
    data: DataFacts
    task: Task
    model: nn.Module
    params: Any
    step: int
    seed: int


def load_run(workdir: Path, seed: int | None = None, execution: str = "auto") -> Run:
    """Loads the newest (or best) intact checkpoint of a run, and writes nothing.

    Prints a line where a checkpoint is torn, or where a seed is chosen by default.

    Args:
      workdir: the run's folder.
      seed: the seed to load; by default the run's first.
      execution: how its recurrent layers are computed. That of the training is not asked for: it
        was chosen for the machine that trained.

    Raises:
      UserError: there is no run, none of its checkpoints can be read, it has no such seed, or this
        machine cannot execute it so.
    """
    runs = load_seeds(workdir, execution)
    first, last = runs[0].seed, runs[-1].seed
    if seed is None and len(runs) > 1:
        say(f"{workdir}: holds seeds {first} to {last}; using the weights of seed {first}")
    chosen = first if seed is None else seed
    if not first <= chosen <= last:
        held = f"seeds {first} to {last}" if len(runs) > 1 else f"seed {first} only"
        raise UserError(f"--seed: {chosen} is not there; {workdir} holds {held}")
    return runs[chosen - first]


def load_seeds(workdir: Path, execution: str = "auto") -> list[Run]:
    """Loads each seed of a run as a run of its own; see `load_run`."""
    settings, data = read_settings(workdir), read_data_facts(workdir)
    if reason := why_not_here(execution, settings.model.compute_dtype):
        raise UserError(f"config.model.execution: {execution} {reason}; choose auto")
    saved = SavedStates(workdir, say)
    restored = saved.restore_newest()
    if restored is None:
        raise UserError(f"{workdir}: this run has no checkpoint yet; train it first")
    state, loop = restored
    if settings.checkpoint.keep_best:
        state = saved.restore_best(loop["best_step"]) or state
    params = state["params"] if state.get("ema_params") is None else state["ema_params"]
    params = jax.device_put(params, jax.local_devices()[0])
    frozen = frozen_backbone(settings, workdir)
    here = dataclasses.replace(
        settings, model=dataclasses.replace(settings.model, execution=execution)
    )
    task = create_task(here, data.class_names, data.targets)
    model, replicas = create_network(here, task), Replicas(settings.seeds)
    each = zip(
        replicas.each(params), replicas.each(np.asarray(state["step"])), settings.seeds, strict=True
    )
    return [
        Run(workdir, settings, data, task, model, {**weights, **frozen}, int(step), seed)
        for weights, step, seed in each
    ]


def frozen_backbone(settings: Settings, workdir: Path) -> dict[str, Any]:
    """The parameters that no checkpoint has, since they never change; {} where there are none."""
    if not settings.model.computes_features_once:
        return {}
    params = load_backbone(workdir / BACKBONE, settings.model.backbone)
    return {"sequence": {"backbone": params}}


def with_own_backbone(settings: Settings, workdir: Path) -> Settings:
    """The settings with the weights of the backbone that a run keeps, where it keeps some."""
    kept = workdir / BACKBONE
    if not (settings.model.computes_features_once and kept.exists()):
        return settings
    model = dataclasses.replace(settings.model, backbone_weights=str(kept))
    return dataclasses.replace(settings, model=model)


def of_features(run: Run, execution: str = "auto") -> Run:
    """The run without its frozen backbone: its network reads features, not clips.

    `execution` is that of `load_run`.
    """
    if not run.settings.model.computes_features_once:
        return run
    params = {name: part for name, part in run.params.items() if name != "sequence"}
    here = dataclasses.replace(run.settings.model, execution=execution)
    settings = dataclasses.replace(run.settings, model=here)
    model = create_network(settings, run.task, of_features=True)
    return dataclasses.replace(run, model=model, params=params)


def with_decoding(run: Run, decoding: Mapping[str, Any]) -> Run:
    """The run with other fields of `config.reading` for its beam search.

    Raises:
      UserError: they fit neither each other nor the run.
    """
    if not decoding:
        return run
    reading = dataclasses.replace(run.settings.reading, **decoding)
    settings = dataclasses.replace(run.settings, reading=reading)
    check_together(settings)
    return dataclasses.replace(
        run,
        settings=settings,
        task=create_task(settings, run.data.class_names, run.data.targets),
    )


def check_reads_text(run: Run) -> None:
    """Raises UserError where the run classifies images or clips."""
    if not run.settings.reads_text:
        raise UserError(
            f"{run.workdir}: this run classifies images or clips and reads no text; choose a run"
            " trained on lines of writing, or --mode=predict (from Python: Predictor)"
        )


def check_targets(run: Run, what: str, kinds: tuple[str, ...] = ("class",)) -> None:
    """Raises UserError where a run predicts something else than one of `kinds` of targets.

    Args:
      run: any run; one that reads text passes.
      what: what cannot be done with it, such as "an export".
      kinds: see `data.targets.Targets`.
    """
    kind = run.data.targets.kind
    if kind not in kinds and not run.task.reads_lines:
        is_step = kinds == ("class",) and kind == "steps"
        can = "--mode=predict or --mode=evaluate" + " or --mode=read" * is_step
        raise UserError(
            f"{run.workdir}: this run predicts {run.task.outputs}, and {what} is for runs that"
            f" choose one class{'' if kinds == ('class',) else ' or a class for each frame'}; use"
            f" {can}"
        )


def check_lines_are_scaled(run: Run) -> None:
    """Raises UserError where `--to_scale=false` has no effect on a run."""
    if not run.settings.reads_text:
        raise UserError(
            f"--to_scale: it has no effect on {run.workdir}, which classifies images or clips;"
            " leave it out (it is for runs that read lines)"
        )
