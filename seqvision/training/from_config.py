"""The training that a config and a data set describe."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax
from jax.sharding import Mesh

from seqvision.config.rules import wants_validation
from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.data.class_balance import Draws, balanced_draws, class_weights, train_labels
from seqvision.data.dataset import Dataset, Split
from seqvision.data.preprocessing import shift_and_rotate
from seqvision.errors import UserError
from seqvision.models.backbones import is_frozen
from seqvision.models.execution.choose import why_not_here
from seqvision.runtime.mesh import DATA_AXIS, data_mesh
from seqvision.tasks.base import Metrics, Task
from seqvision.tasks.from_config import create_network, create_task, input_shape, windows_of
from seqvision.training.dispatch import MAX_STEPS_PER_CALL, Feed, StepDispatcher
from seqvision.training.optimizer import create_optimizer, create_schedule
from seqvision.training.replicas import Replicas
from seqvision.training.resident import ResidentFeed
from seqvision.training.state import Init, make_init
from seqvision.training.steps import Augmentation, make_train_steps
from seqvision.training.streamed import CHUNKS, StreamedFeed, chunk_size


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """The functions of a training. Nothing is compiled yet: jax does that at the first call.

    Attributes:
      steps: durations in steps.
      task: what the network is trained for.
      model: images or clips in [0, 1] to logits.
      input_shape: of what the model reads at once, without the batch axis.
      replicas: the seeds.
      mesh: the devices.
      schedule: the learning rate at each step.
      optimizer: what turns gradients into updates.
      init: the state before the first step, of one seed.
      train_steps: see `steps.make_train_steps`.
      evaluate: `evaluate(params, split)`, of all seeds.
    """

    steps: Steps
    task: Task
    model: nn.Module
    input_shape: tuple[int, ...]
    replicas: Replicas
    mesh: Mesh
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    init: Init
    train_steps: Any
    evaluate: Callable[[Any, Any], Metrics]

    def abstract_state(self) -> Any:
        """See `Replicas.abstract_state`."""
        return self.replicas.abstract_state(self.init, self.mesh)


def create_training(settings: Settings, dataset: Dataset) -> TrainingSetup:
    """Sets up the network, its optimizer and its steps.

    Args:
      settings: the config.
      dataset: its data.

    Raises:
      UserError: the devices cannot share a batch evenly, or have no cuDNN where it is asked for;
        or several seeds are to be trained in several processes, or on streamed examples.
    """
    train, replicas = dataset.split("train"), Replicas(settings.seeds)
    mesh = replicas.mesh(settings.data.batch_size)
    _check_replicas(replicas, dataset)
    _check_devices(settings, mesh)
    task = create_task(
        settings, dataset.class_names, dataset.targets, _class_weights(settings, dataset)
    )
    model = create_network(settings, task, of_features=True)
    steps = Steps.of(settings, len(train))
    schedule, optimizer = _create_optimizer(settings, steps)
    shape = input_shape(settings, dataset.input_shape)
    evaluate = task.create_evaluation(
        model, data_mesh(mesh), train.take, settings.data.eval_batch_size
    )
    return TrainingSetup(
        steps=steps,
        task=task,
        model=model,
        input_shape=shape,
        replicas=replicas,
        mesh=mesh,
        schedule=schedule,
        optimizer=optimizer,
        init=make_init(model, optimizer, shape, task.zeros(), use_ema=settings.ema_decay > 0),
        train_steps=make_train_steps(
            model,
            optimizer,
            mesh,
            train.take,
            task,
            seed=settings.seed,
            ema_decay=settings.ema_decay,
            augment=_create_augmentation(settings),
            windows=windows_of(settings),
            streamed=dataset.is_streamed,
        ),
        evaluate=replicas.evaluation(evaluate),
    )


def check_trainable(settings: Settings, dataset: Dataset) -> None:
    """Refuses what training cannot do with a data set, before features of it are computed.

    Raises:
      UserError: no validation split where one is needed, durations that do not fit, or devices that
        cannot share a batch evenly.
    """
    wanting = wants_validation(settings)
    if wanting and "validation" not in dataset.splits:
        raise UserError(
            f"config.{wanting}: it needs a validation split, but {dataset.name} has none; set"
            " config.data.validation_fraction or switch it off"
        )
    _check_devices(settings, Replicas(settings.seeds).mesh(settings.data.batch_size))
    Steps.of(settings, len(dataset.split("train")))


def create_dispatcher(settings: Settings, setup: TrainingSetup, dataset: Dataset) -> StepDispatcher:
    """Puts the training examples, or the first of them, onto the devices."""
    split, batch_size = dataset.split("train"), settings.data.batch_size
    mesh, steps = setup.mesh, setup.steps
    draws = _draws(settings, dataset)
    feed: Feed
    if split.is_streamed:
        feed = StreamedFeed(split, settings.seed, batch_size, steps.total, mesh, draws)
    else:
        capacity = min(MAX_STEPS_PER_CALL, steps.total)
        feed = ResidentFeed(split, setup.replicas, batch_size, capacity, mesh, draws)
    return StepDispatcher(setup.train_steps, feed, steps, batch_size * settings.num_seeds, mesh)


def _class_weights(settings: Settings, dataset: Dataset) -> Any:
    if settings.loss.class_weights == "none":
        return None
    labels = train_labels(dataset.split("train"), "config.loss.class_weights")
    return class_weights(labels, dataset.targets, dataset.num_classes)


def _draws(settings: Settings, dataset: Dataset) -> Draws | None:
    if not settings.data.balanced_draws:
        return None
    labels = train_labels(dataset.split("train"), "config.data.balanced_draws")
    return balanced_draws(labels, dataset.num_classes)


def feed_size(split: Split, batch_size: int, total_steps: int) -> tuple[int, int]:
    """Batches that lie on the devices as one chunk, and the number of such chunks.

    (1, 1) where the whole split lies there.
    """
    if not split.is_streamed:
        return 1, 1
    return chunk_size(split, batch_size, total_steps), CHUNKS


def _check_replicas(replicas: Replicas, dataset: Dataset) -> None:
    if not replicas.axes:
        return
    count = len(replicas.seeds)
    if jax.process_count() > 1:
        raise UserError(
            f"config.num_seeds: {count} seeds at once train in one process, not in"
            f" {jax.process_count()}; set it to 1 and give each seed a run of its own"
        )
    if dataset.is_streamed:
        raise UserError(
            f"config.num_seeds: {count} seeds at once train on examples in memory, and"
            f" those of {dataset.name} are streamed; raise config.data.resident_bytes, or set it to"
            " 1 and give each seed a run of its own"
        )


def _check_devices(settings: Settings, mesh: Mesh) -> None:
    num_shards = mesh.shape[DATA_AXIS]
    if settings.data.batch_size % num_shards:
        processes = len({device.process_index for device in mesh.devices.flat})
        where = f" in {processes} processes" if processes > 1 else ""
        raise UserError(
            f"config.data.batch_size: {settings.data.batch_size} examples cannot be shared evenly"
            f" by {num_shards} devices{where}; choose a multiple of {num_shards}"
        )
    model = settings.model
    if reason := why_not_here(model.execution, model.compute_dtype):
        raise UserError(f"config.model.execution: {model.execution} {reason}; choose auto")


def _create_optimizer(
    settings: Settings, steps: Steps
) -> tuple[optax.Schedule, optax.GradientTransformation]:
    schedule = create_schedule(
        settings.schedule.name,
        settings.optimizer.learning_rate,
        steps.total,
        steps.warmup,
        settings.schedule.start_fraction,
        settings.schedule.final_fraction,
    )
    values = dataclasses.asdict(settings.optimizer) | {"learning_rate": schedule}
    model = settings.model
    if model.backbone != "none" and not model.computes_features_once:
        values["is_frozen"] = functools.partial(is_frozen, model.backbone, model.backbone_trainable)
    return schedule, create_optimizer(**values)


def _create_augmentation(settings: Settings) -> Augmentation | None:
    augment = settings.augment
    if not augment.max_shift and not augment.max_rotation:
        return None
    return functools.partial(
        shift_and_rotate, max_shift=augment.max_shift, max_rotation=augment.max_rotation
    )
