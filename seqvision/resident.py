"""Training steps over a split that lies on the devices as a whole."""

import time
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.config import Steps
from seqvision.data.dataset import Split
from seqvision.data.order import example_indices
from seqvision.flops import count_flops
from seqvision.settings import Settings
from seqvision.state import TrainState, replicated
from seqvision.steps import index_sharding
from seqvision.throughput import Throughput

# A signal waits for the call under way, and the bar moves once a call.
_MAX_STEPS_PER_CALL = 100
_SECONDS_PER_CALL = 2.0


class ResidentSteps:
    """Calls of the compiled steps, each up to the next event, and how long they take."""

    def __init__(
        self, settings: Settings, steps: Steps, split: Split, train_steps: Any, mesh: Mesh
    ) -> None:
        self._settings, self._steps, self._train_steps = settings, steps, train_steps
        self._num_examples, self._mesh = len(split), mesh
        self._capacity = min(_MAX_STEPS_PER_CALL, steps.total)
        self._steps_per_call = min(10, self._capacity)
        self._flops_per_example: float | None = None
        self._timed_steps, self._seconds = 0, 0.0
        self._arrays = jax.device_put(split.arrays, replicated(mesh))
        self._next: tuple[int, Any] = (-1, None)

    @property
    def batch_size(self) -> int:
        """Examples of a step, on all devices together, of all seeds."""
        return self._settings.data.batch_size * self._settings.num_seeds

    def advance(
        self,
        state: TrainState,
        step: int,
        at_most: int = _MAX_STEPS_PER_CALL,
        timed: bool = True,
    ) -> tuple[TrainState, bool]:
        """Takes the steps from `step` to the next event, as many as one call holds.

        Args:
          state: what the last call returned; given up.
          step: its step.
          at_most: steps to take.
          timed: whether they count in `throughput`.

        Returns:
          The new state, and whether every step was finite; if not, the state is the one before the
          step that was not (of several seeds, only that of the seed whose step it was).
        """
        steps = self._steps
        events = (steps.log_every, steps.evaluate_every, steps.checkpoint_every)
        ends = [step - step % every + every for every in events if every]
        num_steps = min(*ends, steps.total, step + min(at_most, self._steps_per_call)) - step
        at, indices = self._next
        if at != step:
            indices = self._indices(step)
        arguments = self._arguments(state, indices, num_steps)
        compiles = self._flops_per_example is None
        if compiles:
            # At this call jax keeps what it traces here, and traces nothing again.
            self._flops_per_example = count_flops(self._train_steps, *arguments) / self.batch_size
        start = time.perf_counter()
        state, finite = self._train_steps(*arguments)
        # While the devices compute.
        self._next = (step + num_steps, self._indices(step + num_steps))
        all_finite = bool(np.all(jax.device_get(finite)))  # Waits for the devices.
        if timed and not compiles:
            self._note(num_steps, time.perf_counter() - start)
        return state, all_finite

    def throughput(self, peak_flops: float | None) -> Throughput | None:
        """Of all calls but the first, which compiles; None where there was no other."""
        if not self._timed_steps or self._flops_per_example is None:
            return None
        speed = self._timed_steps * self.batch_size / self._seconds
        return Throughput(speed, self._flops_per_example, peak_flops)

    def program_text(self, state: TrainState) -> str:
        """The compiled program as XLA writes it. After the first call: jax looks it up."""
        arguments = self._arguments(state, self._next[1], 1)
        return self._train_steps.lower(*arguments).compile().as_text() or ""

    def _arguments(self, state: TrainState, indices: Any, num_steps: int) -> tuple[Any, ...]:
        count = jax.device_put(np.int32(num_steps), replicated(self._mesh))
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
        return jax.device_put(table, index_sharding(self._mesh))

    def _note(self, num_steps: int, seconds: float) -> None:
        """Chooses how many steps the next call takes; no result depends on it."""
        self._timed_steps += num_steps
        self._seconds += seconds
        fitting = int(_SECONDS_PER_CALL * num_steps / seconds)
        self._steps_per_call = max(1, min(fitting, self._capacity))
