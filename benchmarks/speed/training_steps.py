"""seqvision's compiled training steps on made-up images, as a training run compiles them."""

import flax.linen as nn
import jax
import numpy as np

from benchmarks.speed.cases import LEARNING_RATE, NUM_CLASSES, Case
from benchmarks.speed.contender import Run
from benchmarks.speed.inputs import make_bytes
from seqvision.data.dataset import ArraySplit
from seqvision.models import create_model
from seqvision.runtime.mesh import DATA_AXIS, replicated
from seqvision.tasks.classification import Classification
from seqvision.training.dispatch import MAX_STEPS_PER_CALL
from seqvision.training.optimizer import create_optimizer
from seqvision.training.replicas import Replicas
from seqvision.training.resident import ResidentFeed
from seqvision.training.state import make_init
from seqvision.training.steps import make_train_steps

_SEQUENCES = {"lstm": "rows", "gru": "rows", "cnn_lstm": "cnn", "frame_lstm": "frames"}


def build_model(case: Case, execution: str) -> nn.Module:
    """The network of a case; `execution` as in `seqvision.models.create_model`."""
    return create_model(
        num_classes=NUM_CLASSES,
        sequence=_SEQUENCES[case.network],
        cell="gru" if case.network == "gru" else "lstm",
        hidden_size=case.hidden_size,
        compute_dtype=case.dtype,
        execution=execution,
        axis_name=DATA_AXIS,
    )


def build_training(
    case: Case, execution: str, num_seeds: int = 1, seeds_together: bool | None = None
) -> Run:
    """Training by Adam on all devices.

    Args:
      case: the network and its sizes.
      execution: see `seqvision.models.create_model`.
      num_seeds: seeds trained at once; a step is one of each of them.
      seeds_together: see `seqvision.training.steps.make_train_steps`.
    """
    replicas = Replicas(range(num_seeds))
    mesh = replicas.mesh(case.batch_size)
    inputs, labels = make_bytes(case)
    split = ArraySplit(inputs, labels)
    fed = ResidentFeed(split, replicas, case.batch_size, MAX_STEPS_PER_CALL, mesh).fetch(0)
    model, optimizer = build_model(case, execution), create_optimizer("adam", LEARNING_RATE)
    task = Classification(tuple(map(str, range(NUM_CLASSES))))
    init = make_init(model, optimizer, case.input_shape, task.zeros(), use_ema=False)
    state = replicas.create_state(init, mesh)
    train_steps = make_train_steps(
        model, optimizer, mesh, ArraySplit.take, task, seed=0, seeds_together=seeds_together
    )

    def run(num_steps: int) -> None:
        nonlocal state
        while num_steps:
            now = min(num_steps, MAX_STEPS_PER_CALL)
            count = jax.device_put(np.int32(now), replicated(mesh))
            state, finite = train_steps(state, fed.arrays, fed.indices, count)
            if not np.all(jax.device_get(finite)):  # Waits for the devices.
                raise RuntimeError("training diverged")
            num_steps -= now

    return run
