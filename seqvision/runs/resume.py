"""The state that training starts from: the newest checkpoint, or new weights."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from seqvision.config.user_path import expanded
from seqvision.data.dataset import Dataset
from seqvision.errors import UserError
from seqvision.runs.data_facts import read_data_facts
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.imported import foreign_layers, is_foreign, with_weights
from seqvision.runs.saved_states import LoopFacts, SavedStates
from seqvision.runs.warm_start import warm_start
from seqvision.runtime.console import say
from seqvision.runtime.mesh import state_sharding
from seqvision.runtime.transfer import to_devices
from seqvision.training.from_config import TrainingSetup
from seqvision.training.state import TrainState


def restore(
    checkpoints: SavedStates, workdir: Path, dataset: Dataset, abstract: TrainState
) -> tuple[TrainState, LoopFacts] | None:
    """Restores the newest intact checkpoint of a run that is resumed.

    Args:
      checkpoints: of the run.
      workdir: the run's folder.
      dataset: the data to go on with; it must be that of the first start.
      abstract: shapes, types and shardings of the state, see `training.replicas.Replicas`.

    Returns:
      The state and the facts that the training loop saved with it; None where the run has no
      checkpoint.

    Raises:
      UserError: the data changed since the first start, or no checkpoint can be read.
    """
    if not checkpoints.steps:
        return None
    facts = read_data_facts(workdir)
    if not facts.describes(dataset):
        raise UserError(
            f"{workdir}: its data changed since it began: fingerprint or classes of"
            f" {dataset.name} are not those in {ENVIRONMENT}; bring back that data, or choose"
            f" another --workdir{facts.hint(dataset)}"
        )
    restored = checkpoints.restore_newest(abstract)
    if restored is not None:
        say(f"resuming {workdir} from step {restored[0].num_steps}")
    return restored


def new_state(
    setup: TrainingSetup, init_from: str = "", backbone: Mapping[str, Any] | None = None
) -> TrainState:
    """Creates the state of a new run before its first step.

    Args:
      setup: the training; its optimizer is initialised again for weights of another run.
      init_from: the workdir of a run whose weights to start from, or weights that another library
        trained; "" for random ones.
      backbone: parameters of a pretrained backbone that learns.

    Raises:
      UserError: there are no weights at `init_from`, or they do not match.
    """
    mesh, replicas = setup.mesh, setup.replicas
    state = replicas.create_state(setup.init, mesh)
    if backbone is not None:
        state = with_backbone(state, backbone)
    if not init_from:
        return state
    path = expanded(init_from, "config.init_from")
    if path.suffix and not path.exists():
        raise UserError(f"config.init_from: {path}: no such file or folder")
    if is_foreign(path):
        source, layers = foreign_layers(path)
        shape, axes = setup.input_shape, len(replicas.axes)
        state, lines = with_weights(state, source, layers, shape, num_axes=axes)
        say(f"starting from {path}")
        for line in lines:
            say(line)
        return state
    params, lines = warm_start(state.params, path, replicas)
    for line in lines:
        say(line)
    params = to_devices(params, state_sharding(mesh))
    ema_params = None if state.ema_params is None else jax.tree.map(jnp.copy, params)
    init_optimizer = replicas.for_all(setup.optimizer.init)
    opt_state = jax.jit(init_optimizer, out_shardings=state_sharding(mesh))(params)
    return dataclasses.replace(state, params=params, opt_state=opt_state, ema_params=ema_params)


def with_backbone(state: TrainState, backbone: Mapping[str, Any]) -> TrainState:
    """The state before its first step, with a pretrained backbone."""

    def pretrained(leaf: jax.Array, array: Any) -> jax.Array:
        return jax.device_put(jnp.broadcast_to(jnp.asarray(array), leaf.shape), leaf.sharding)

    own = state.params["sequence"]["backbone"]
    sequence = {"backbone": jax.tree.map(pretrained, own, dict(backbone))}
    params = {**state.params, "sequence": sequence}
    ema_params = None if state.ema_params is None else jax.tree.map(jnp.copy, params)
    return dataclasses.replace(state, params=params, ema_params=ema_params)
