"""What training changes, and how it lies on the devices."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import Mesh

from seqvision.runtime.mesh import state_sharding
from seqvision.runtime.random_keys import key_of
from seqvision.shapes import Count


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
