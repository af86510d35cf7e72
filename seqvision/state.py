"""What training changes, and how it lies on the devices."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from seqvision.devices import num_sharing
from seqvision.shapes import Count, PRNGKey

DATA_AXIS = "data"
"""The mesh axis that shares out every batch."""

_STREAMS = {"init": 0, "augment": 1, "window": 2, "dropout": 3}


def key_of(seed: Count | int, stream: str, step: Count | int = 0) -> PRNGKey:
    """The random key of one use at one step: a pure function of its arguments.

    Nothing random has to be saved or restored for a run to resume exactly.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STREAMS[stream]), step)


@struct.dataclass
class TrainState:
    """All that changes from step to step; a checkpoint holds exactly this.

    Attributes:
      step: completed updates, int32 ().
      params: the weights.
      opt_state: optax's memory.
      ema_params: moving average of the weights; None where the config asks for none.
      sums: training loss and accuracy since the last log line.
    """

    step: Any
    params: Any
    opt_state: Any
    ema_params: Any
    sums: Any

    @property
    def eval_params(self) -> Any:
        """The weights to evaluate and predict with."""
        return self.params if self.ema_params is None else self.ema_params


Init = Callable[[Count | int], TrainState]


def create_mesh(num_devices: int = 0) -> Mesh:
    """The first devices (0: all) in one row, named `data`: each takes its share of every batch."""
    devices = jax.devices()[: num_devices or None]
    return jax.make_mesh((len(devices),), (DATA_AXIS,), (AxisType.Auto,), devices=devices)


def training_mesh(batch_size: int) -> Mesh:
    """All devices; of one process's CPU, the most that can share a batch evenly."""
    if jax.default_backend() != "cpu" or jax.process_count() > 1:
        return create_mesh()
    return create_mesh(num_sharing(jax.device_count(), batch_size))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def make_init(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    input_shape: tuple[int, ...],
    zero_sums: Any,
    use_ema: bool,
) -> Init:
    """The pure function `init(seed) -> TrainState`: the state before the first step."""

    def init(seed: Count | int) -> TrainState:
        inputs = jnp.zeros((1, *input_shape), jnp.float32)
        variables: Any = model.init(key_of(seed, "init"), inputs)
        params = variables["params"]
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=optimizer.init(params),
            ema_params=jax.tree.map(jnp.copy, params) if use_ema else None,
            sums=zero_sums,
        )

    return init


def abstract_state(init: Init, mesh: Mesh) -> Any:
    """Shapes, types and shardings of the state, at the cost of no computation."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)),
        jax.eval_shape(init, 0),
    )


def create_state(init: Init, mesh: Mesh, seed: int) -> TrainState:
    """The state before the first step, made on the devices where it will live."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(init, mesh))
    return jax.jit(init, out_shardings=shardings)(seed)
