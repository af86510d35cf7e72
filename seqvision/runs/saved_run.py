"""A run that was trained, read back from its workdir."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, validate
from seqvision.data.dataset import SPLITS, Dataset
from seqvision.errors import UserError
from seqvision.models import create_model, create_reader
from seqvision.runs.checkpoint import Checkpoints
from seqvision.runs.metrics_log import CONFIG, ENVIRONMENT, read_json
from seqvision.tasks.base import Classification, Objective, TextReading
from seqvision.training.state import DATA_AXIS, of_seed
from seqvision.training.steps import Windows

# A run may be resumed with other values of these: they change no weight, but for rounding.
_FREE = (
    "data.dir",
    "data.cache_dir",
    "data.path",
    "data.broken_files",
    "data.resident_bytes",
    "data.eval_batch_size",
    "reading.beam_width",
    "model.execution",
    "log_every",
    "checkpoint.every",
    "checkpoint.keep",
)


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """What a run has to know of its data to be used without it.

    Attributes:
      name, version, class_names, fingerprints: see `data.dataset.Dataset`.
      input_shape: height, width, channels of its images; (T, height, width, channels) of its clips.
      background: how the borders of its training images look: dark, light or mixed.
    """

    name: str
    version: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    background: str
    fingerprints: dict[str, str]

    @property
    def of_clips(self) -> bool:
        return len(self.input_shape) == 4

    def describes(self, dataset: Dataset) -> bool:
        """Whether it is the same data: the same examples, and the same names of their classes."""
        same = self.fingerprints == dict(dataset.fingerprints)
        return same and self.class_names == dataset.class_names

    def hint(self, dataset: Dataset) -> str:
        """A word on a set that was streamed and no longer is, or the other way round."""
        was_streamed = not self.fingerprints.keys() <= set(SPLITS)
        if was_streamed == dataset.is_streamed:
            return ""
        now, then = ("streamed", "in memory") if dataset.is_streamed else ("in memory", "streamed")
        return f" (it was {then}, it is {now}: see config.data.resident_bytes)"

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "DataFacts":
        return cls(
            **{
                **facts,
                "input_shape": tuple(facts["input_shape"]),
                "class_names": tuple(facts["class_names"]),
            }
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained network and what it was trained on.

    Attributes:
      settings: its config.
      data: shape of its images or clips, names of its classes.
      model: images or clips in [0, 1] to logits.
      params: the weights that the config promises: the best by validation where it keeps the best,
        else the newest; their moving average where it asks for one.
      step: the training step of these weights.
      seed: that they were trained with: `config.schema.seed`, or one of those that follow it.
    """

    settings: Settings
    data: DataFacts
    model: nn.Module
    params: Any
    step: int
    seed: int


def model_of(settings: Settings, num_classes: int) -> nn.Module:
    """The network that the settings describe; `num_classes` does not count the blank of CTC."""
    fields = dataclasses.asdict(settings.model) | {"axis_name": DATA_AXIS}
    if not settings.reads_text:
        return create_model(num_classes=num_classes, **fields)
    for unused in ("readout", "patch_size"):
        del fields[unused]
    return create_reader(num_classes=num_classes + 1, delay=settings.reading.delay, **fields)


def objective_of(settings: Settings, num_classes: int) -> Objective:
    """What the settings train for."""
    if settings.reads_text:
        return TextReading(settings.reading.delay)
    loss = settings.loss
    return Classification(num_classes, loss.label_smoothing, loss.step_weight)


def windows_of(settings: Settings) -> Windows | None:
    """How long clips are cut; None where the network reads them whole."""
    data = settings.data
    return Windows(data.window, data.window_stride or data.window) if data.window else None


def read_shape(settings: Settings, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what the network reads at once: an image, a clip or a window of one."""
    if not settings.data.window:
        return input_shape
    num_frames, *image_shape = input_shape
    return (min(num_frames, settings.data.window), *image_shape)


def load_run(workdir: Path, say: Callable[[str], None] = print, seed: int | None = None) -> Run:
    """Reads a run's newest (or best) whole checkpoint; writes nothing.

    Args:
      workdir: the run's folder.
      say: called with a line where a checkpoint is torn, or where one of several seeds is taken.
      seed: which one; by default the run's first.

    Raises:
      UserError: there is no run, none of its checkpoints can be read, or it has no such seed.
    """
    runs = load_seeds(workdir, say)
    first, last = runs[0].seed, runs[-1].seed
    if seed is None and len(runs) > 1:
        say(f"{workdir}: it holds the seeds {first} to {last}; taking the weights of {first}")
    chosen = first if seed is None else seed
    if not first <= chosen <= last:
        held = f"the seeds {first} to {last}" if len(runs) > 1 else f"the seed {first} alone"
        raise UserError(f"--seed: {chosen} is not there; {workdir} holds {held}")
    return runs[chosen - first]


def load_seeds(workdir: Path, say: Callable[[str], None] = print) -> list[Run]:
    """The same for each of a run's seeds, of which it usually has one."""
    settings, data = read_settings(workdir), read_data_facts(workdir)
    with Checkpoints(workdir, say=say, read_only=True) as checkpoints:
        restored = checkpoints.restore_newest() if checkpoints.steps else None
        if restored is None:
            raise UserError(f"{workdir}: this run has no checkpoint yet; train it first")
        state, loop = restored
        if settings.checkpoint.keep_best:
            state = checkpoints.restore_best(loop["best_step"]) or state
    params = state["params"] if state.get("ema_params") is None else state["ema_params"]
    # Where it was trained says nothing of where it is used.
    anywhere = dataclasses.replace(
        settings, model=dataclasses.replace(settings.model, execution="auto")
    )
    model = model_of(anywhere, len(data.class_names))
    if settings.num_seeds == 1:
        return [Run(settings, data, model, params, int(state["step"]), settings.seed)]
    steps = np.asarray(state["step"])
    return [
        Run(settings, data, model, of_seed(params, index), int(steps[index]), seed)
        for index, seed in enumerate(settings.seeds)
    ]


def read_settings(workdir: Path) -> Settings:
    """The config a run was started with.

    Raises:
      UserError: no run, or one of another version of seqvision.
    """
    path = workdir / CONFIG
    content = read_json(path)
    try:
        return validate(ConfigDict(content))
    except UserError as error:
        raise UserError(f"{path}: not of this version of seqvision: {error}") from None


def read_data_facts(workdir: Path) -> DataFacts:
    """What the run wrote down about its data."""
    path = workdir / ENVIRONMENT
    content = read_json(path)
    try:
        return DataFacts.from_json(content["data"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: not of this version of seqvision, or damaged") from None


def differences(before: Settings, now: Settings) -> dict[str, str]:
    """Each field that differs, by its name: `was 16 and is 17`."""
    old, new = flatten(before), flatten(now)
    return {key: f"was {old[key]!r} and is {new[key]!r}" for key in new if old[key] != new[key]}


def check_same_config(settings: Settings, workdir: Path) -> None:
    """Refuses to go on with a run of another config. A folder without a run is fine.

    Raises:
      UserError: names the fields that differ, other than those that change no weight.
    """
    checkpoints = workdir / "checkpoints"
    if not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        return
    if not (workdir / CONFIG).exists():
        raise UserError(
            f"{workdir}: it holds checkpoints, but no {CONFIG} that says what of; move them away,"
            " or choose another --workdir"
        )
    differing = differences(read_settings(workdir), settings)
    named = [f"{key} {text}" for key, text in differing.items() if key not in _FREE]
    if named:
        raise UserError(
            f"{workdir}: it holds a run of another config: {'; '.join(named)}; use the same"
            " config, or another --workdir (with config.init_from to start from its weights)"
        )
