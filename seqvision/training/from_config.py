"""What a config and a data set compile to: the network, its optimizer and its steps."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import optax
from jax.sharding import Mesh

from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.data.dataset import Dataset
from seqvision.data.preprocessing import shift_and_rotate
from seqvision.errors import UserError
from seqvision.models.execution import cudnn_lstm
from seqvision.runtime.mesh import DATA_AXIS, data_mesh
from seqvision.tasks.base import Objective
from seqvision.tasks.from_config import (
    Evaluation,
    SeedsEvaluation,
    create_evaluation,
    each_seed,
    model_of,
    objective_of,
    read_shape,
    windows_of,
)
from seqvision.training.optimizer import create_optimizer, create_schedule
from seqvision.training.state import Init, make_init
from seqvision.training.steps import make_train_steps


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """The functions of a training.

    Attributes:
      model: images or clips in [0, 1] to logits.
      input_shape: of what the model reads at once, without the batch axis.
      schedule: the learning rate at each step.
      optimizer: what turns gradients into updates.
      init: the state before the first step, of one seed.
      objective: what it is trained for.
      train_steps: see `steps`.
      evaluate: see `evaluation`.
    """

    model: nn.Module
    input_shape: tuple[int, ...]
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    init: Init
    objective: Objective
    train_steps: Any
    evaluate: Evaluation | SeedsEvaluation


def create_training(
    settings: Settings, dataset: Dataset, steps: Steps, mesh: Mesh
) -> TrainingSetup:
    """Nothing is compiled yet: jax does that at the first call.

    Args:
      settings: the config.
      dataset: its data.
      steps: its durations.
      mesh: the devices.

    Raises:
      UserError: the devices cannot share a batch evenly, or have no cuDNN where it is asked for;
        or several seeds are to be trained in several processes, or on streamed examples.
    """
    if settings.num_seeds > 1 and jax.process_count() > 1:
        raise UserError(
            f"config.num_seeds: {settings.num_seeds} seeds at once train in one process, not in"
            f" {jax.process_count()}; set it to 1 and give each seed a run of its own"
        )
    if settings.num_seeds > 1 and dataset.is_streamed:
        raise UserError(
            f"config.num_seeds: {settings.num_seeds} seeds at once train on examples in memory, and"
            f" those of {dataset.name} are streamed; raise config.data.resident_bytes, or set it to"
            " 1 and give each seed a run of its own"
        )
    num_sharing = mesh.shape[DATA_AXIS]
    if settings.data.batch_size % num_sharing:
        processes = len({device.process_index for device in mesh.devices.flat})
        where = f" in {processes} processes" if processes > 1 else ""
        raise UserError(
            f"config.data.batch_size: {settings.data.batch_size} examples cannot be shared evenly"
            f" by {num_sharing} devices{where}; choose a multiple of {num_sharing}"
        )
    if settings.model.execution == "cudnn" and not cudnn_lstm.available():
        raise UserError(
            "config.model.execution: cudnn needs an NVIDIA GPU, and JAX sees none; choose auto"
        )
    model = model_of(settings, dataset.num_classes)
    input_shape = read_shape(settings, dataset.input_shape)
    schedule = create_schedule(
        settings.schedule.name,
        settings.optimizer.learning_rate,
        steps.total,
        steps.warmup,
        settings.schedule.start_fraction,
        settings.schedule.final_fraction,
    )
    values = dataclasses.asdict(settings.optimizer) | {"learning_rate": schedule}
    optimizer = create_optimizer(**values)
    augment = None
    if settings.augment.max_shift or settings.augment.max_rotation:
        augment = functools.partial(
            shift_and_rotate,
            max_shift=settings.augment.max_shift,
            max_rotation=settings.augment.max_rotation,
        )
    take, windows = dataset.split("train").take, windows_of(settings)
    objective = objective_of(settings, dataset.num_classes)
    evaluate = create_evaluation(settings, model, data_mesh(mesh), take, objective, windows)
    return TrainingSetup(
        model=model,
        input_shape=input_shape,
        schedule=schedule,
        optimizer=optimizer,
        init=make_init(
            model, optimizer, input_shape, objective.zeros(), use_ema=settings.ema_decay > 0
        ),
        objective=objective,
        train_steps=make_train_steps(
            model,
            optimizer,
            mesh,
            take,
            objective,
            seed=settings.seed,
            ema_decay=settings.ema_decay,
            augment=augment,
            windows=windows,
            streamed=dataset.is_streamed,
        ),
        evaluate=evaluate if settings.num_seeds == 1 else each_seed(evaluate, settings.num_seeds),
    )
