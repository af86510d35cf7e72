"""What training changes, and how it lies on the devices."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from seqvision.runtime.cpu_devices import num_sharing
from seqvision.shapes import Count, PRNGKey

DATA_AXIS = "data"
"""The mesh axis that shares out every batch."""
SEED_AXIS = "seed"
"""The mesh axis that shares out the seeds of a run that trains several at once; others have none"""

_STREAMS = {"init": 0, "augment": 1, "window": 2, "dropout": 3}


def key_of(seed: Count | int, stream: str, step: Count | int = 0) -> PRNGKey:
    """The random key of one use at one step: a pure function of its arguments.

    Nothing random has to be saved or restored for a run to resume exactly.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STREAMS[stream]), step)


@struct.dataclass
class TrainState:
    """All that changes from step to step; a checkpoint holds exactly this.

    Of several seeds at once, every array has a first axis more, the seeds.

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

    @property
    def num_steps(self) -> int:
        """`step` on the host; of several seeds the lowest: they differ where one diverged."""
        return int(np.min(jax.device_get(self.step)))


Init = Callable[[Count | int], TrainState]


def create_mesh(num_devices: int = 0) -> Mesh:
    """The first devices (0: all) in one row, named `data`: each takes its share of every batch."""
    devices = jax.devices()[: num_devices or None]
    return jax.make_mesh((len(devices),), (DATA_AXIS,), (AxisType.Auto,), devices=devices)


def training_mesh(batch_size: int, num_seeds: int = 1) -> Mesh:
    """All devices; of one process's CPU, the most that can share the work evenly.

    Of several seeds each device takes its share, as far as that goes, and whole batches: it waits
    for no other. Devices that are more than can share the seeds share their batches.
    """
    count = jax.device_count()
    if jax.default_backend() == "cpu" and jax.process_count() == 1:
        count = num_sharing(count, batch_size * num_seeds)
    return create_mesh(count) if num_seeds == 1 else seeds_mesh(num_seeds, count)


def seeds_mesh(num_seeds: int, num_devices: int = 0) -> Mesh:
    """The first devices (0: all) in rows, (`seed`, `data`): as many rows as can share the seeds."""
    devices = jax.devices()[: num_devices or None]
    rows = math.gcd(len(devices), num_seeds)
    return jax.make_mesh(
        (rows, len(devices) // rows),
        (SEED_AXIS, DATA_AXIS),
        (AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


def data_mesh(mesh: Mesh) -> Mesh:
    """The same devices in one row, named `data`: all of them share every batch."""
    return Mesh(mesh.devices.reshape(-1), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def of_seed(tree: Any, index: int) -> Any:
    """What one of several seeds has of a tree of arrays (R, ...)."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def state_sharding(mesh: Mesh) -> NamedSharding:
    """How a state lies: whole on every device; of several seeds, each device has its share."""
    return NamedSharding(mesh, state_spec(mesh))


def state_spec(mesh: Mesh) -> PartitionSpec:
    return PartitionSpec(SEED_AXIS) if SEED_AXIS in mesh.axis_names else PartitionSpec()


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


def abstract_state(init: Init, mesh: Mesh, num_seeds: int = 1) -> Any:
    """Shapes, types and shardings of the state, at the cost of no computation."""
    seeds = (num_seeds,) if num_seeds > 1 else ()
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            (*seeds, *leaf.shape), leaf.dtype, sharding=state_sharding(mesh)
        ),
        jax.eval_shape(init, 0),
    )


def create_state(init: Init, mesh: Mesh, seed: int, num_seeds: int = 1) -> TrainState:
    """The state before the first step, made on the devices where it will live.

    Of several seeds, `seed` is the first; each begins with the same bits as alone.
    """
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(init, mesh, num_seeds))
    if num_seeds == 1:
        return jax.jit(init, out_shardings=shardings)(seed)

    def init_all(seeds: Any) -> TrainState:
        return jax.lax.map(init, seeds)

    seeds = np.arange(seed, seed + num_seeds, dtype=np.int32)
    return jax.jit(init_all, out_shardings=shardings)(seeds)
