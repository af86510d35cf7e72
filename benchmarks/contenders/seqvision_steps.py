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

from benchmarks.cases import LEARNING_RATE, NUM_BATCHES, NUM_CLASSES, Case
from benchmarks.contender import Run
from benchmarks.inputs import make_bytes
from seqvision import __version__
from seqvision.data.dataset import ArraySplit
from seqvision.data.preprocessing import to_unit_range
from seqvision.models import create_model
from seqvision.runtime.mesh import (
    DATA_AXIS,
    batch_sharding,
    create_mesh,
    index_sharding,
    replicated,
)
from seqvision.tasks.base import Classification
from seqvision.training.optimizer import create_optimizer
from seqvision.training.state import create_state, make_init
from seqvision.training.steps import make_predict_step, make_train_steps

_SEQUENCES = {"lstm": "rows", "gru": "rows", "cnn_lstm": "cnn", "frame_lstm": "frames"}
# As in seqvision.training.resident.
_MAX_STEPS_PER_CALL = 100


class SeqvisionContender:
    """Images lie on the devices as bytes and are scaled inside the step, as in every run.

    Args:
      execution: see `create_model`.
    """

    def __init__(self, execution: str) -> None:
        self._execution = execution
        self._mesh = create_mesh()

    def versions(self) -> dict[str, str]:
        devices = jax.devices()
        return {
            "seqvision": __version__,
            "jax": jax.__version__,
            "device": f"{len(devices)} x {devices[0].device_kind}",
        }

    def settings(self, case: Case) -> dict[str, Callable[[], Run]]:
        if case.mode == "forward":
            return {
                "predict step": lambda: self._forward(case),
                "many batches in one call": lambda: self._many_forward(case),
            }
        return {"many steps in one call": lambda: self._training(case)}

    def _training(self, case: Case) -> Run:
        inputs, labels = make_bytes(case)
        arrays = jax.device_put(ArraySplit(inputs, labels).arrays, replicated(self._mesh))
        order = np.random.default_rng(1).permutation(len(labels)).astype(np.int32)
        table = np.resize(order, (_MAX_STEPS_PER_CALL, case.batch_size))
        indices = jax.device_put(table, index_sharding(self._mesh))
        model, optimizer = self._model(case), create_optimizer("adam", LEARNING_RATE)
        objective = Classification(NUM_CLASSES)
        init = make_init(model, optimizer, case.input_shape, objective.zeros(), use_ema=False)
        state = create_state(init, self._mesh, seed=0)
        train_steps = make_train_steps(
            model, optimizer, self._mesh, ArraySplit.take, objective, seed=0
        )

        def run(num_steps: int) -> None:
            nonlocal state
            while num_steps:
                now = min(num_steps, _MAX_STEPS_PER_CALL)
                count = jax.device_put(np.int32(now), replicated(self._mesh))
                state, finite = train_steps(state, arrays, indices, count)
                if not bool(finite):  # Waits for the device.
                    raise RuntimeError("training diverged")
                num_steps -= now

        return run

    def _forward(self, case: Case) -> Run:
        inputs, _ = make_bytes(case)
        sharding = batch_sharding(self._mesh)
        batches = [jax.device_put(part, sharding) for part in np.split(inputs, NUM_BATCHES)]
        model = self._model(case)
        variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *case.input_shape)))
        params = jax.device_put(variables["params"], replicated(self._mesh))
        predict_step = make_predict_step(model, self._mesh)

        def run(num_steps: int) -> None:
            for step in range(num_steps):
                answer = predict_step(params, batches[step % NUM_BATCHES], None)
            jax.block_until_ready(answer)

        return run

    def _many_forward(self, case: Case) -> Run:
        inputs, _ = make_bytes(case)
        stacked = jax.device_put(
            np.stack(np.split(inputs, NUM_BATCHES)), index_sharding(self._mesh)
        )
        model = self._model(case)
        variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *case.input_shape)))
        params = jax.device_put(variables["params"], replicated(self._mesh))

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

    def _model(self, case: Case) -> nn.Module:
        return create_model(
            num_classes=NUM_CLASSES,
            sequence=_SEQUENCES[case.network],
            cell="gru" if case.network == "gru" else "lstm",
            hidden_size=case.hidden_size,
            compute_dtype=case.dtype,
            execution=self._execution,
        )
