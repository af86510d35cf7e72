"""The task that a config describes, and its network."""

import dataclasses

import flax.linen as nn

from seqvision.config.model_schema import Model
from seqvision.config.schema import Settings
from seqvision.data.preprocessing import Windows
from seqvision.models.cells.base import CellOptions
from seqvision.runtime.mesh import DATA_AXIS
from seqvision.tasks.base import Task
from seqvision.tasks.classification import Classification
from seqvision.tasks.reading import TextReading


def create_task(settings: Settings, class_names: tuple[str, ...]) -> Task:
    """The task of a config. This is the only place that knows all tasks.

    Args:
      settings: the config.
      class_names: of the data set: classes, or the symbols of its texts.
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
    return Classification(
        class_names,
        settings.loss.label_smoothing,
        settings.loss.step_weight,
        windows_of(settings),
        per_step=settings.model.readout == "per_step",
    )


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
