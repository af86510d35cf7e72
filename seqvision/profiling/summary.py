"""Where a training step's time goes: a trace of some steps, and a summary of it in words."""

import collections
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from seqvision.errors import UserError, explain_os_error, first_line
from seqvision.profiling.hlo import LOOPS, Operation, operation_by_name, read_operations
from seqvision.profiling.throughput import Throughput
from seqvision.profiling.trace import Span, covered_seconds, read_spans, trace_files
from seqvision.training.dispatch import StepDispatcher
from seqvision.training.state import TrainState

SUMMARY = "summary.txt"
_MAX_STEPS = 20
_MAX_SECONDS = 1.0
_TOP = 15
_TOP_PRINTED = 5


def check_folder(folder: Path) -> None:
    """Makes the folder for traces.

    Raises:
      UserError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(explain_os_error(error, folder, "--profile")) from error


class ProfiledSteps:
    """StepDispatcher of the training steps of which one is traced: the first compiles, the second is timed
    without the profiler, the third with it. All others go through as they are.

    Args:
      calls: what takes the steps; the traced ones do not count in its throughput.
      folder: where traces and `summary.txt` are written; older traces stay.
      total_steps: where training ends.
      peak_flops: see `profiling.peak.measure_peak`.
      say: prints a line.
    """

    def __init__(
        self,
        calls: StepDispatcher,
        folder: Path,
        total_steps: int,
        peak_flops: float | None,
        say: Callable[[str], None],
    ) -> None:
        self._calls, self._folder, self._say = calls, folder, say
        self._total_steps, self._peak_flops = total_steps, peak_flops
        self._num_calls = 0
        self._seconds_per_step = 0.0

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, bool]:
        """See `training.dispatch.StepDispatcher.advance`; the first three calls take fewer steps."""
        self._num_calls += 1
        left = self._total_steps - step
        if self._num_calls == 1 and left < 3:
            self._say(
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
            self._say(f"--profile: no trace: {first_line(error)}")
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
            self._say(line)
        try:
            (self._folder / SUMMARY).write_text("\n".join(profile.lines(_TOP)) + "\n")
            self._say(f"profile   {self._folder / SUMMARY}, trace in plugins/profile beside it")
        except OSError as error:
            self._say(f"--profile: {explain_os_error(error, self._folder, '--profile')}")
        return state, finite


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a trace of some training steps says.

    Attributes:
      first_step, num_steps: the traced steps.
      batch_size: examples of a step.
      seconds: wall time of the traced steps.
      unprofiled_seconds_per_step: that of steps before them, without the profiler.
      throughput: of the steps before them.
      spans: what ran when.
      operations: what the compiled program says of its operations, by name.
      problem: why nothing could be read, if so.
    """

    first_step: int
    num_steps: int
    batch_size: int
    seconds: float
    unprofiled_seconds_per_step: float
    throughput: Throughput | None
    spans: list[Span]
    operations: dict[str, Operation]
    problem: str = ""

    def lines(self, top: int, with_scopes: bool = True) -> Iterator[str]:
        """The summary, with the `top` longest operations."""
        last = self.first_step + self.num_steps - 1
        yield (
            f"profile of steps {self.first_step} to {last}, {self.batch_size} examples each,"
            f" jax {jax.__version__}"
        )
        with_profiler = 1e3 * self.seconds / self.num_steps
        yield (
            f"  wall time per step: {with_profiler:.2f} ms with the profiler,"
            f" {1e3 * self.unprofiled_seconds_per_step:.2f} ms without, just before"
        )
        if self.throughput is not None:
            yield f"  without the profiler: {self.throughput}"
        if not self.spans:
            reason = self.problem or "it names no operations of a device"
            yield f"  the trace could not be summed up: {reason}; look at it in TensorBoard"
            return
        yield from self._devices()
        rows = self._rows()
        total = sum(row.seconds for row in rows)
        yield from self._table("by group", _grouped(rows), total, with_scopes=False)
        yield from self._table(f"longest {top}", rows[:top], total, with_scopes)

    def _devices(self) -> Iterator[str]:
        """Per device: when something ran, and when nothing did."""
        yield f"  {'ms per step':<26}{'wall':>9}{'busy':>9}{'loops':>9}{'idle':>9}  idle share"
        wall = self.seconds
        for device, spans in _by_device(self.spans).items():
            busy, loops = self._busy_and_loops(spans)
            idle = max(0.0, wall - busy - loops)
            cells = "".join(f"{self._ms(value):9.3f}" for value in (wall, busy, loops, idle))
            yield f"  {device:<26}{cells}{idle / wall:12.1%}"

    def _busy_and_loops(self, spans: list[Span]) -> tuple[float, float]:
        """Seconds in which an operation ran, and in which only the loop around them did."""
        busy = covered_seconds(span for span in spans if not self._is_loop(span))
        return busy, covered_seconds(spans) - busy

    def _rows(self) -> list["Row"]:
        """Every operation over all devices and threads, the longest first."""
        seconds: dict[str, float] = collections.defaultdict(float)
        counts: collections.Counter[str] = collections.Counter()
        loops, num_loops = 0.0, 0
        for spans in _by_device(self.spans).values():
            loops += self._busy_and_loops(spans)[1]
        for span in self.spans:
            if self._is_loop(span):
                num_loops += 1
            else:
                seconds[span.operation] += span.end - span.start
                counts[span.operation] += 1
        rows = [
            Row(name, self._operation(name).group, self._operation(name).scope, value, counts[name])
            for name, value in seconds.items()
        ]
        rows.append(Row("(loops)", LOOPS, "", loops, num_loops))
        return sorted(rows, key=lambda row: row.seconds, reverse=True)

    def _operation(self, name: str) -> Operation:
        return self.operations.get(name) or operation_by_name(name)

    def _is_loop(self, span: Span) -> bool:
        return self._operation(span.operation).group == LOOPS

    def _ms(self, seconds: float) -> float:
        return 1e3 * seconds / self.num_steps

    def _table(
        self, title: str, rows: list["Row"], total: float, with_scopes: bool
    ) -> Iterator[str]:
        yield (
            f"  {title:<34}{'ms in all':>10}{'ms/step':>10}{'share':>8}{'runs/step':>11}"
            f"{'  from' * with_scopes}"
        )
        for row in rows:
            yield (
                f"  {row.name:<34}{1e3 * row.seconds:10.2f}{self._ms(row.seconds):10.3f}"
                f"{row.seconds / total:8.1%}{row.count / self.num_steps:11.1f}"
                f"{f'  {row.group}: {row.scope}' * with_scopes}"
            )


@dataclasses.dataclass(frozen=True)
class Row:
    """Time of an operation, or of a group of them, added over devices and threads."""

    name: str
    group: str
    scope: str
    seconds: float
    count: int


def _by_device(spans: list[Span]) -> dict[str, list[Span]]:
    devices: dict[str, list[Span]] = {}
    for span in spans:
        devices.setdefault(span.device, []).append(span)
    return dict(sorted(devices.items()))


def _grouped(rows: list[Row]) -> list[Row]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    sums = [
        Row(name, name, "", sum(row.seconds for row in group), sum(row.count for row in group))
        for name, group in groups.items()
    ]
    return sorted(sums, key=lambda row: row.seconds, reverse=True)
