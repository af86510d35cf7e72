"""Calls of the compiled training steps: what is common to all ways of feeding them."""

from typing import Any, Protocol, runtime_checkable

from seqvision.config.step_counts import Steps
from seqvision.profiling.flops import count_flops
from seqvision.profiling.throughput import Throughput
from seqvision.runtime import processes
from seqvision.training.state import TrainState

# A signal waits for the call under way, and the bar moves once a call.
MAX_STEPS_PER_CALL = 100
_SECONDS_PER_CALL = 2.0


@runtime_checkable
class Calls(Protocol):
    """Calls of the compiled steps, each up to the next event, and how long they take."""

    @property
    def batch_size(self) -> int:
        """Examples of a step, on all devices together."""

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
        """

    def throughput(self, peak_flops: float | None) -> Throughput | None:
        """Of all calls but the first, which compiles; None where there was no other."""

    def program_text(self, state: TrainState) -> str:
        """The compiled program as XLA writes it. After the first call: jax looks it up."""

    def close(self) -> None:
        """Ends what runs beside the training. Nothing can be called after it."""


class Pace:
    """How many steps a call takes, and how fast they go.

    Args:
      steps: when something is due.
      batch_size: examples of a step.
      capacity: steps that a call can take.
    """

    def __init__(self, steps: Steps, batch_size: int, capacity: int) -> None:
        self._steps, self._batch_size, self._capacity = steps, batch_size, capacity
        self._steps_per_call = min(10, capacity)
        self._flops_per_example: float | None = None
        self._timed_steps, self._seconds = 0, 0.0

    def num_steps(self, step: int, at_most: int) -> int:
        """Steps from `step` to the next event, as many as a call takes."""
        steps = self._steps
        events = (steps.log_every, steps.evaluate_every, steps.checkpoint_every)
        ends = [step - step % every + every for every in events if every]
        return min(*ends, steps.total, step + min(at_most, self._steps_per_call)) - step

    def counts_flops(self, train_steps: Any, arguments: tuple[Any, ...]) -> bool:
        """Counts them, once: True before the first call, which compiles."""
        if self._flops_per_example is not None:
            return False
        # At this call jax keeps what it traces here, and traces nothing again.
        self._flops_per_example = count_flops(train_steps, *arguments) / self._batch_size
        return True

    def note(self, num_steps: int, seconds: float) -> None:
        """Chooses how many steps the next call takes; no result depends on it."""
        self._timed_steps += num_steps
        self._seconds += seconds
        fitting = int(_SECONDS_PER_CALL * num_steps / seconds)
        # Others take other times, and all of them the same steps.
        self._steps_per_call = processes.broadcast(max(1, min(fitting, self._capacity)))

    def throughput(
        self, peak_flops: float | None, waited: float | None = None
    ) -> Throughput | None:
        """See `Calls.throughput`.

        Args:
          peak_flops: see `profiling.peak.measure_peak`.
          waited: seconds without a batch; None where all examples lie on the devices.
        """
        if not self._timed_steps or self._flops_per_example is None:
            return None
        speed = self._timed_steps * self._batch_size / self._seconds
        input_wait = None if waited is None else waited / self._seconds
        return Throughput(speed, self._flops_per_example, peak_flops, input_wait)
