"""Training steps over a split of which only the next batches lie on the devices."""

import time
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.data.batching import example_indices
from seqvision.data.dataset import StreamedSplit
from seqvision.data.device_feed import Chunk, own_places, own_shards, put_rows, read_chunks
from seqvision.data.prefetch import Batches
from seqvision.profiling.throughput import Throughput
from seqvision.runtime.mesh import replicated
from seqvision.runtime.transfer import to_devices
from seqvision.shapes import Indices
from seqvision.training.dispatch import MAX_STEPS_PER_CALL, Pace
from seqvision.training.state import TrainState

CHUNKS = 3
"""One is trained on while the next lies ready and a third is on its way."""
_CHUNK_BYTES = 2**28


class StreamedSteps:
    """See `training.dispatch.Calls`. Batches come in chunks, in the order of `resident`.

    What is read is a function of the step alone, so a run goes on from any step.
    """

    def __init__(
        self,
        settings: Settings,
        steps: Steps,
        split: StreamedSplit,
        train_steps: Any,
        mesh: Mesh,
    ) -> None:
        self._settings, self._split = settings, split
        self._train_steps, self._mesh = train_steps, mesh
        self._chunk_size = chunk_size(settings, steps, split)
        self._pace = Pace(steps, self.batch_size, self._chunk_size)
        places = own_places(self.batch_size, mesh.size, own_shards(mesh))
        self._batches = Batches(split, self._examples, steps.total, places)
        self._ahead: Any = None
        # The chunk in use, and the step that it begins with.
        self._chunk: Chunk = {}
        self._first = -self._chunk_size
        self._waited = 0.0

    @property
    def batch_size(self) -> int:
        """Examples of a step, on all devices together."""
        return self._settings.data.batch_size

    def advance(
        self,
        state: TrainState,
        step: int,
        at_most: int = MAX_STEPS_PER_CALL,
        timed: bool = True,
    ) -> tuple[TrainState, bool]:
        """See `training.dispatch.Calls.advance`; a call ends with its chunk, too.

        Raises:
          UserError: an example cannot be read.
        """
        start = time.perf_counter()
        self._bring(step)
        waited = time.perf_counter() - start
        left = self._first + self._chunk_size - step
        num_steps = min(self._pace.num_steps(step, at_most), left)
        arguments = self._arguments(state, step, num_steps)
        compiles = self._pace.counts_flops(self._train_steps, arguments)
        state, finite = self._train_steps(*arguments)
        all_finite = bool(jax.device_get(finite))  # Waits for the devices.
        if timed and not compiles:
            self._pace.note(num_steps, time.perf_counter() - start)
            self._waited += waited
        return state, all_finite

    def throughput(self, peak_flops: float | None) -> Throughput | None:
        """See `training.dispatch.Calls.throughput`."""
        return self._pace.throughput(peak_flops, self._waited)

    def program_text(self, state: TrainState) -> str:
        """See `training.dispatch.Calls.program_text`."""
        arguments = self._arguments(state, self._first, 1)
        return self._train_steps.lower(*arguments).compile().as_text() or ""

    def close(self) -> None:
        """Ends the threads that read ahead."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _bring(self, step: int) -> None:
        """Makes the chunk in use the one that has this step; waits for it."""
        if self._first <= step < self._first + self._chunk_size:
            return
        if self._ahead is None or step != self._first + self._chunk_size:
            self.close()
            self._ahead = read_chunks(self._batches, step, self._chunk_size, self._mesh)
        self._chunk = {}  # Makes room for the next.
        self._chunk, self._first = next(self._ahead), step

    def _arguments(self, state: TrainState, step: int, num_steps: int) -> tuple[Any, ...]:
        rows = put_rows(self._chunk_size, self.batch_size, step - self._first, self._mesh)
        count = to_devices(np.int32(num_steps), replicated(self._mesh))
        return state, self._chunk, rows, count

    def _examples(self, step: int) -> Indices:
        return example_indices(
            self._settings.seed, len(self._split), step * self.batch_size, self.batch_size
        )


def chunk_size(settings: Settings, steps: Steps, split: StreamedSplit) -> int:
    """Batches that lie on the devices together, as a chunk of moderate size."""
    batch_bytes = split.num_bytes // len(split) * settings.data.batch_size
    return max(1, min(MAX_STEPS_PER_CALL, steps.total, _CHUNK_BYTES // batch_bytes))
