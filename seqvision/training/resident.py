"""Training steps over a split that lies on the devices as a whole."""

import time
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.data.batching import example_indices
from seqvision.data.dataset import Split
from seqvision.profiling.throughput import Throughput
from seqvision.runtime.mesh import index_sharding, replicated
from seqvision.runtime.transfer import to_devices
from seqvision.training.dispatch import MAX_STEPS_PER_CALL, Pace
from seqvision.training.state import TrainState


class ResidentSteps:
    """See `training.dispatch.Calls`."""

    def __init__(
        self, settings: Settings, steps: Steps, split: Split, train_steps: Any, mesh: Mesh
    ) -> None:
        self._settings, self._train_steps = settings, train_steps
        self._num_examples, self._mesh = len(split), mesh
        self._capacity = min(MAX_STEPS_PER_CALL, steps.total)
        self._pace = Pace(steps, self.batch_size, self._capacity)
        self._arrays = to_devices(split.arrays, replicated(mesh))
        self._next: tuple[int, Any] = (-1, None)

    @property
    def batch_size(self) -> int:
        """Examples of a step, on all devices together, of all seeds."""
        return self._settings.data.batch_size * self._settings.num_seeds

    def advance(
        self,
        state: TrainState,
        step: int,
        at_most: int = MAX_STEPS_PER_CALL,
        timed: bool = True,
    ) -> tuple[TrainState, bool]:
        """See `training.dispatch.Calls.advance`."""
        num_steps = self._pace.num_steps(step, at_most)
        at, indices = self._next
        if at != step:
            indices = self._indices(step)
        arguments = self._arguments(state, indices, num_steps)
        compiles = self._pace.counts_flops(self._train_steps, arguments)
        start = time.perf_counter()
        state, finite = self._train_steps(*arguments)
        # While the devices compute.
        self._next = (step + num_steps, self._indices(step + num_steps))
        all_finite = bool(np.all(jax.device_get(finite)))  # Waits for the devices.
        if timed and not compiles:
            self._pace.note(num_steps, time.perf_counter() - start)
        return state, all_finite

    def throughput(self, peak_flops: float | None) -> Throughput | None:
        """See `training.dispatch.Calls.throughput`."""
        return self._pace.throughput(peak_flops)

    def program_text(self, state: TrainState) -> str:
        """See `training.dispatch.Calls.program_text`."""
        arguments = self._arguments(state, self._next[1], 1)
        return self._train_steps.lower(*arguments).compile().as_text() or ""

    def close(self) -> None:
        """See `training.dispatch.Calls.close`; nothing runs beside it."""

    def _arguments(self, state: TrainState, indices: Any, num_steps: int) -> tuple[Any, ...]:
        count = to_devices(np.int32(num_steps), replicated(self._mesh))
        return state, self._arrays, indices, count

    def _indices(self, step: int) -> Any:
        """The examples of the steps from `step` on, as many as a call can take, on the devices."""
        settings, batch_size = self._settings, self._settings.data.batch_size
        tables = [
            example_indices(
                seed, self._num_examples, step * batch_size, self._capacity * batch_size
            ).reshape(self._capacity, batch_size)
            for seed in settings.seeds
        ]
        table = np.stack(tables) if settings.num_seeds > 1 else tables[0]
        return to_devices(table, index_sharding(self._mesh))
