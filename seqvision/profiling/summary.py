"""Summary of a profile: time by operation, by group of operations and by device."""

import collections
import dataclasses
from collections.abc import Iterator

import jax

from seqvision.profiling.hlo import LOOPS, Operation, operation_by_name
from seqvision.profiling.throughput import Throughput
from seqvision.profiling.trace import Span, covered_seconds


@dataclasses.dataclass(frozen=True)
class Profile:
    """A trace of some training steps, and its summary in lines of text.

    Attributes:
      first_step, num_steps: the traced steps.
      batch_size: examples per step.
      seconds: wall time of the traced steps.
      unprofiled_seconds_per_step: wall time of earlier steps, without the profiler.
      throughput: of the earlier steps; None where it is not known.
      spans: the runs of operations.
      operations: group and scope of each operation of the compiled program, by name.
      problem: the reason why the trace could not be read; empty where it could.
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
        """Busy and idle time of each device."""
        yield f"  {'ms per step':<26}{'wall':>9}{'busy':>9}{'loops':>9}{'idle':>9}  idle share"
        wall = self.seconds
        for device, spans in _by_device(self.spans).items():
            busy, loops = self._busy_and_loops(spans)
            idle = max(0.0, wall - busy - loops)
            cells = "".join(f"{self._ms(value):9.3f}" for value in (wall, busy, loops, idle))
            yield f"  {device:<26}{cells}{idle / wall:12.1%}"

    def _busy_and_loops(self, spans: list[Span]) -> tuple[float, float]:
        """Seconds in which an operation ran, and in which only the loop around it did."""
        busy = covered_seconds(span for span in spans if not self._is_loop(span))
        return busy, covered_seconds(spans) - busy

    def _rows(self) -> list["Row"]:
        """Time of each operation, added over devices and threads, the longest first."""
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
    """Time of an operation or a group of operations, added over devices and threads."""

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
