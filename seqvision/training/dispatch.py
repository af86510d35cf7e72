"""Calls of the compiled training steps, each up to the next event of the loop."""

import time
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.config.step_counts import Steps
from seqvision.profiling.flops import count_flops
from seqvision.profiling.throughput import Throughput
from seqvision.runtime import processes
from seqvision.runtime.mesh import replicated
from seqvision.runtime.transfer import to_devices
from seqvision.training.state import TrainState

# A signal waits for the call under way, and the bar moves once a call.
MAX_STEPS_PER_CALL = 100
_SECONDS_PER_CALL = 2.0


class Fed(NamedTuple):
    """The examples of the next steps.

    Attributes:
      arrays, indices: on the devices, see `steps.make_train_steps`.
      num_steps: for how many steps they suffice.
    """

    arrays: Any
    indices: Any
    num_steps: int


@runtime_checkable
class Feed(Protocol):
    """Brings the examples of training onto the devices.

    Attributes:
      capacity: the most steps that it serves at once.
      streams: whether the devices may have to wait for it.
    """

    capacity: int
    streams: bool

    def fetch(self, step: int) -> Fed:
        """The examples from `step` on. Blocks until they are there.

        Raises:
          UserError: an example cannot be read.
        """

    def prepare(self, step: int) -> None:
        """Makes `fetch(step)` quick, while the devices compute."""

    def close(self) -> None:
        """Ends what runs beside the training."""


class StepDispatcher:
    """Takes training steps, many in one call of the compiled program, and measures their speed.

    Args:
      train_steps: see `steps.make_train_steps`.
      feed: brings the examples.
      steps: when something is due.
      batch_size: examples of a step, over all devices and seeds.
      mesh: the devices.
    """

    def __init__(
        self, train_steps: Any, feed: Feed, steps: Steps, batch_size: int, mesh: Mesh
    ) -> None:
        self._train_steps, self._feed, self._mesh = train_steps, feed, mesh
        self._steps, self.batch_size = steps, batch_size
        self._steps_per_call = min(10, feed.capacity)
        self._flops_per_example: float | None = None
        self._timed_steps, self._seconds, self._waited = 0, 0.0, 0.0

    def advance(
        self,
        state: TrainState,
        step: int,
        at_most: int = MAX_STEPS_PER_CALL,
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

        Raises:
          UserError: an example cannot be read.
        """
        start = time.perf_counter()
        fed = self._feed.fetch(step)
        waited = time.perf_counter() - start
        num_steps = min(self._steps_to_event(step), at_most, self._steps_per_call, fed.num_steps)
        arguments = self._arguments(state, fed, num_steps)
        compiles = self._flops_per_example is None
        if compiles:
            # At this call jax keeps what it traces here, and traces nothing again.
            flops = count_flops(self._train_steps, *arguments)
            self._flops_per_example = flops / self.batch_size
        state, finite = self._train_steps(*arguments)
        del fed, arguments  # A streamed chunk makes room for the next.
        self._feed.prepare(step + num_steps)
        all_finite = bool(np.all(jax.device_get(finite)))  # Waits for the devices.
        if timed and not compiles:
            self._waited += waited
            self._note(num_steps, time.perf_counter() - start)
        return state, all_finite

    def throughput(self, peak_flops: float | None) -> Throughput | None:
        """Of all calls but the first, which compiles; None where there was no other.

        Args:
          peak_flops: see `peak.measure_peak`.
        """
        if not self._timed_steps or self._flops_per_example is None:
            return None
        speed = self._timed_steps * self.batch_size / self._seconds
        input_wait = self._waited / self._seconds if self._feed.streams else None
        return Throughput(speed, self._flops_per_example, peak_flops, input_wait)

    def program_text(self, state: TrainState) -> str:
        """The compiled program as XLA writes it. After the first call: jax looks it up."""
        arguments = self._arguments(state, self._feed.fetch(state.num_steps), 1)
        return self._train_steps.lower(*arguments).compile().as_text() or ""

    def close(self) -> None:
        """Ends what runs beside the training. Nothing can be called after it."""
        self._feed.close()

    def _arguments(self, state: TrainState, fed: Fed, num_steps: int) -> tuple[Any, ...]:
        count = to_devices(np.int32(num_steps), replicated(self._mesh))
        return state, fed.arrays, fed.indices, count

    def _steps_to_event(self, step: int) -> int:
        steps = self._steps
        events = (steps.log_every, steps.evaluate_every, steps.checkpoint_every)
        ends = [step - step % every + every for every in events if every]
        return min(*ends, steps.total) - step

    def _note(self, num_steps: int, seconds: float) -> None:
        """Chooses how many steps the next call takes; no result depends on it."""
        self._timed_steps += num_steps
        self._seconds += seconds
        fitting = int(_SECONDS_PER_CALL * num_steps / seconds)
        # All processes have to take the same steps, and each has measured another time.
        self._steps_per_call = processes.broadcast(max(1, min(fitting, self._feed.capacity)))
