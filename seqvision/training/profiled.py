"""Training steps of which one call is traced by the profiler: `--profile`."""

import tempfile
import time
from pathlib import Path

import jax

from seqvision.errors import UserError, explain_os_error, first_line
from seqvision.profiling.hlo import read_operations
from seqvision.profiling.summary import Profile
from seqvision.profiling.trace import Span, read_spans, trace_files
from seqvision.runtime.console import say
from seqvision.training.dispatch import StepDispatcher
from seqvision.training.state import TrainState

SUMMARY = "summary.txt"
_MAX_STEPS = 20
_MAX_SECONDS = 1.0
_TOP = 15
_TOP_PRINTED = 5


def check_folder(folder: Path) -> None:
    """Creates the folder for traces.

    Raises:
      UserError: it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(explain_os_error(error, folder, "--profile")) from error


class ProfiledSteps:
    """Wraps the calls of the training steps and traces the third of them.

    The first call compiles, the second is timed without the profiler, the third is traced. Later
    calls are passed on unchanged.

    Args:
      calls: the training steps; the traced ones do not count in its throughput.
      folder: for traces and `summary.txt`; older traces are kept.
      total_steps: the number of steps of the run.
      peak_flops: see `profiling.peak.measure_peak`; None where it was not measured.
    """

    def __init__(
        self, calls: StepDispatcher, folder: Path, total_steps: int, peak_flops: float | None
    ) -> None:
        self._calls, self._folder = calls, folder
        self._total_steps, self._peak_flops = total_steps, peak_flops
        self._num_calls = 0
        self._seconds_per_step = 0.0

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, bool]:
        """See `StepDispatcher.advance`; the first three calls take at most 20 steps each."""
        self._num_calls += 1
        left = self._total_steps - step
        if self._num_calls == 1 and left < 3:
            say(
                f"--profile: {left} step(s) are left of this run; nothing is traced, since that"
                " takes 3: to compile, to time without the profiler, and with it"
            )
            self._num_calls = 4
        if self._num_calls > 3:
            return self._calls.advance(state, step)
        # Each of the three leaves steps for those after it.
        most = min(_MAX_STEPS, left // (4 - self._num_calls))
        if self._num_calls == 3:
            most = min(most, max(1, int(_MAX_SECONDS / self._seconds_per_step)))
            return self._traced(state, step, most)
        start = time.perf_counter()
        state, finite = self._calls.advance(state, step, most)
        self._seconds_per_step = (time.perf_counter() - start) / max(1, state.num_steps - step)
        return state, finite

    def _traced(self, state: TrainState, step: int, most: int) -> tuple[TrainState, bool]:
        operations = read_operations(self._calls.program_text(state))
        before, problem = trace_files(self._folder), ""
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        try:
            jax.profiler.start_trace(
                self._folder, create_perfetto_trace=True, profiler_options=options
            )
        except RuntimeError as error:
            say(f"--profile: no trace: {first_line(error)}")
            return self._calls.advance(state, step, most)
        start = time.perf_counter()
        state, finite = self._calls.advance(state, step, most, timed=False)
        seconds = time.perf_counter() - start
        spans: list[Span] = []
        try:
            jax.profiler.stop_trace()
            new = trace_files(self._folder) - before
            spans = [span for path in sorted(new) for span in read_spans(path)]
        except (OSError, RuntimeError, ValueError) as error:
            problem = first_line(error)
        profile = Profile(
            first_step=step + 1,
            num_steps=max(1, state.num_steps - step),
            batch_size=self._calls.batch_size,
            seconds=seconds,
            unprofiled_seconds_per_step=self._seconds_per_step,
            throughput=self._calls.throughput(self._peak_flops),
            spans=spans,
            operations=operations,
            problem=problem,
        )
        for line in profile.lines(_TOP_PRINTED, with_scopes=False):
            say(line)
        try:
            (self._folder / SUMMARY).write_text("\n".join(profile.lines(_TOP)) + "\n")
            say(f"profile   {self._folder / SUMMARY}, trace in plugins/profile beside it")
        except OSError as error:
            say(f"--profile: {explain_os_error(error, self._folder, '--profile')}")
        return state, finite
