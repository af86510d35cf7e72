"""The task that a config describes, and its network."""

import dataclasses
from typing import Any

import flax.linen as nn

from seqvision.config.model_schema import Model
from seqvision.config.schema import Settings
from seqvision.data.preprocessing import Windows
from seqvision.data.targets import CLASSES, Targets
from seqvision.models.cells.base import CellOptions
from seqvision.runtime.mesh import DATA_AXIS
from seqvision.tasks.base import Task
from seqvision.tasks.classification import Classification
from seqvision.tasks.multi_label import MultiLabel
from seqvision.tasks.reading import TextReading
from seqvision.tasks.regression import Regression
from seqvision.tasks.step_classification import StepClassification


def create_task(
    settings: Settings,
    class_names: tuple[str, ...],
    targets: Targets = CLASSES,
    class_weights: Any = None,
) -> Task:
    """The task of a config. This is the only place that knows all tasks.

    Args:
      settings: the config.
      class_names: of the data set: classes, labels, or the symbols of its texts.
      targets: what its labels are.
      class_weights: of the loss in training, see `data.class_balance.class_weights`.
    """
    if settings.reads_text:
        return TextReading(
            class_names,
            settings.reading.delay,
            settings.letter_delay,
            settings.reading.beam_width,
            settings.reading.prior,
            settings.reading.prior_weight,
            settings.reading.direction,
        )
    loss, windows = settings.loss, windows_of(settings)
    metric = metric_of(settings.checkpoint.best_metric, targets)
    if targets.kind == "steps":
        only_last = loss.steps == "last"
        return StepClassification(
            class_names, windows, metric, loss.label_smoothing, only_last, class_weights
        )
    if targets.kind == "labels":
        return MultiLabel(class_names, windows, metric, loss.step_weight, class_weights)
    if targets.kind == "number":
        return Regression(
            class_names, windows, metric, targets.offset, targets.scale, loss.step_weight
        )
    return Classification(
        class_names,
        loss.label_smoothing,
        loss.step_weight,
        windows,
        settings.model.readout == "per_step",
        class_weights,
        metric,
    )


def metric_of(asked: str, targets: Targets) -> str:
    """The metric by which weights are compared: `config.checkpoint.best_metric`."""
    usual = {"class": "accuracy", "steps": "map", "labels": "map", "number": "mae"}
    return usual[targets.kind] if asked == "auto" else asked


def create_network(settings: Settings, task: Task, of_features: bool = False) -> nn.Module:
    """The network of a config, for its task.

    Args:
      settings: the config.
      task: what it is for.
      of_features: without its frozen backbone, whose features it reads instead of clips.
    """
    options = cell_options(settings.model)
    others = dataclasses.asdict(settings.model)
    del others["backbone_weights"]
    if of_features and settings.model.computes_features_once:
        others |= {"sequence": "features", "backbone": "none"}
    for field in dataclasses.fields(options):
        del others[field.name]
    return task.create_model(**others, options=options, axis_name=DATA_AXIS)


def cell_options(model: Model) -> CellOptions:
    """The options of the cells."""
    names = [field.name for field in dataclasses.fields(CellOptions)]
    return CellOptions(**{name: getattr(model, name) for name in names})


def windows_of(settings: Settings) -> Windows | None:
    """How clips are cut; None where the network reads them whole."""
    data = settings.data
    return Windows(data.window, data.window_stride or data.window) if data.window else None


def input_shape(settings: Settings, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what the network reads at once: an image, a clip or a window of one."""
    if not settings.data.window:
        return data_shape
    num_frames, *image_shape = data_shape
    return (min(num_frames, settings.data.window), *image_shape)
