"""Training steps over a split that lies on the devices as a whole."""

import time
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.config import Steps
from seqvision.data.dataset import Split
from seqvision.data.order import example_indices
from seqvision.settings import Settings
from seqvision.state import TrainState, replicated
from seqvision.steps import index_sharding

# A signal waits for the call under way, and the bar moves once a call.
_MAX_STEPS_PER_CALL = 100
_SECONDS_PER_CALL = 2.0


class ResidentSteps:
    """Calls of the compiled steps, each up to the next event."""

    def __init__(
        self, settings: Settings, steps: Steps, split: Split, train_steps: Any, mesh: Mesh
    ) -> None:
        self._settings, self._steps, self._train_steps = settings, steps, train_steps
        self._num_examples, self._mesh = len(split), mesh
        self._capacity = min(_MAX_STEPS_PER_CALL, steps.total)
        self._steps_per_call = min(10, self._capacity)
        self._is_compiled = False
        self._arrays = jax.device_put(split.arrays, replicated(mesh))
        self._next: tuple[int, Any] = (-1, None)

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, bool]:
        """Takes the steps from `step` to the next event, as many as one call holds.

        Returns:
          The new state, and whether every step was finite; if not, the state is the one before the
          step that was not.
        """
        steps = self._steps
        events = (steps.log_every, steps.evaluate_every, steps.checkpoint_every)
        ends = [step - step % every + every for every in events if every]
        num_steps = min(*ends, steps.total, step + self._steps_per_call) - step
        at, indices = self._next
        if at != step:
            indices = self._indices(step)
        count = jax.device_put(np.int32(num_steps), replicated(self._mesh))
        start = time.perf_counter()
        state, finite = self._train_steps(state, self._arrays, indices, count)
        # While the devices compute.
        self._next = (step + num_steps, self._indices(step + num_steps))
        all_finite = bool(jax.device_get(finite))  # Waits for the devices.
        self._adapt(num_steps, time.perf_counter() - start)
        return state, all_finite

    def _indices(self, step: int) -> Any:
        """The examples of the steps from `step` on, as many as a call can take, on the devices."""
        batch_size = self._settings.data.batch_size
        examples = example_indices(
            self._settings.seed,
            self._num_examples,
            step * batch_size,
            self._capacity * batch_size,
        )
        table = examples.reshape(self._capacity, batch_size)
        return jax.device_put(table, index_sharding(self._mesh))

    def _adapt(self, num_steps: int, seconds: float) -> None:
        """Chooses how many steps the next call takes; no result depends on it."""
        if self._is_compiled:
            fitting = int(_SECONDS_PER_CALL * num_steps / seconds)
            self._steps_per_call = max(1, min(fitting, self._capacity))
        self._is_compiled = True
