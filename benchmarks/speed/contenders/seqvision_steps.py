"""seqvision, through the functions that a training run calls.

Only the setting `many batches in one call` is written here: the model over many batches in one
compiled call, as a user would who reads a whole set. Flax has the same setting.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from benchmarks.machine import describe_devices
from benchmarks.speed.cases import NUM_BATCHES, NUM_CLASSES, Case
from benchmarks.speed.contender import Run
from benchmarks.speed.inputs import make_bytes
from benchmarks.speed.training_steps import build_model, build_training
from seqvision import __version__
from seqvision.data.preprocessing import to_unit_range
from seqvision.runtime.mesh import (
    DATA_AXIS,
    batch_sharding,
    create_mesh,
    index_sharding,
    replicated,
)
from seqvision.tasks.classification_steps import make_predict_step


class SeqvisionContender:
    """Images lie on the devices as bytes and are scaled inside the step, as in every run.

    Args:
      execution: see `create_model`.
    """

    def __init__(self, execution: str) -> None:
        self._execution = execution
        self._mesh = create_mesh()

    def versions(self) -> dict[str, str]:
        return {"seqvision": __version__, "jax": jax.__version__, "device": describe_devices()}

    def settings(self, case: Case) -> dict[str, Callable[[], Run]]:
        if case.mode == "forward":
            return {
                "predict step": lambda: self._forward(case),
                "many batches in one call": lambda: self._many_forward(case),
            }
        return {"many steps in one call": lambda: build_training(case, self._execution)}

    def _forward(self, case: Case) -> Run:
        inputs, _ = make_bytes(case)
        sharding = batch_sharding(self._mesh)
        batches = [jax.device_put(part, sharding) for part in np.split(inputs, NUM_BATCHES)]
        model = build_model(case, self._execution)
        params = self._params(model, case)
        predict_step = make_predict_step(model, self._mesh)

        def run(num_steps: int) -> None:
            for step in range(num_steps):
                outputs = predict_step(params, batches[step % NUM_BATCHES], None)
            jax.block_until_ready(outputs)

        return run

    def _many_forward(self, case: Case) -> Run:
        inputs, _ = make_bytes(case)
        stacked = jax.device_put(
            np.stack(np.split(inputs, NUM_BATCHES)), index_sharding(self._mesh)
        )
        model = build_model(case, self._execution)
        params = self._params(model, case)

        def read(params: Any, stacked: jax.Array, num_steps: jax.Array) -> jax.Array:
            def body(number: jax.Array, total: jax.Array) -> jax.Array:
                # The sum keeps every batch's logits in use.
                batch = to_unit_range(stacked[number % NUM_BATCHES])
                return total + jnp.asarray(model.apply({"params": params}, batch))

            zeros = jnp.zeros((stacked.shape[1], NUM_CLASSES))
            return jax.lax.fori_loop(0, num_steps, body, zeros)

        everywhere = PartitionSpec()
        many = jax.jit(
            jax.shard_map(
                read,
                mesh=self._mesh,
                in_specs=(everywhere, PartitionSpec(None, DATA_AXIS), everywhere),
                out_specs=PartitionSpec(DATA_AXIS),
                check_vma=False,
            )
        )

        def run(num_steps: int) -> None:
            jax.block_until_ready(many(params, stacked, np.int32(num_steps)))

        return run

    def _params(self, model: nn.Module, case: Case) -> Any:
        variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *case.input_shape)))
        return jax.device_put(variables["params"], replicated(self._mesh))
