"""A run that was trained, read back from its workdir."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from seqvision.checkpoint import Checkpoints
from seqvision.config import Settings, validate
from seqvision.errors import UserError
from seqvision.models import create_model
from seqvision.record import CONFIG, ENVIRONMENT, read_json


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """What a run has to know of its data to be used without it.

    `background` is how the borders of its training images look: dark, light or mixed.
    """

    name: str
    version: str
    image_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    background: str
    fingerprints: dict[str, str]

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "DataFacts":
        return cls(
            **{
                **facts,
                "image_shape": tuple(facts["image_shape"]),
                "class_names": tuple(facts["class_names"]),
            }
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained network and what it was trained on.

    Attributes:
      settings: its config.
      data: shape of its images, names of its classes.
      model: images in [0, 1] to logits.
      params: the weights that the config promises: the best by validation where it keeps the best,
        else the newest; their moving average where it asks for one.
      step: the training step of these weights.
    """

    settings: Settings
    data: DataFacts
    model: nn.Module
    params: Any
    step: int


def model_of(settings: Settings, num_classes: int) -> nn.Module:
    """The network that the settings describe."""
    return create_model(num_classes=num_classes, **dataclasses.asdict(settings.model))


def load_run(workdir: Path, say: Callable[[str], None] = print) -> Run:
    """Reads a run's newest (or best) whole checkpoint; writes nothing.

    Raises:
      UserError: there is no run, or none of its checkpoints can be read.
    """
    settings, data = read_settings(workdir), read_data_facts(workdir)
    with Checkpoints(workdir, say=say, read_only=True) as checkpoints:
        restored = checkpoints.restore_newest() if checkpoints.steps else None
        if restored is None:
            raise UserError(f"{workdir}: this run has no checkpoint yet; train it first")
        state, progress = restored
        best_step = progress["best_step"]
        if settings.checkpoint.keep_best and best_step in checkpoints.steps:
            state, _ = checkpoints.restore(best_step)
    params = state["params"] if state.get("ema_params") is None else state["ema_params"]
    return Run(
        settings=settings,
        data=data,
        model=model_of(settings, len(data.class_names)),
        params=params,
        step=int(state["step"]),
    )


def read_settings(workdir: Path) -> Settings:
    """The config a run was started with.

    Raises:
      UserError: no run, or one of another version of seqvision.
    """
    return validate(ConfigDict(read_json(workdir / CONFIG)))


def read_data_facts(workdir: Path) -> DataFacts:
    """What the run wrote down about its data."""
    return DataFacts.from_json(read_json(workdir / ENVIRONMENT)["data"])
