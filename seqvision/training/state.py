"""The training state."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

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
    optimizer: Any,
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
