"""Runs of operations on devices, read from a trace of `jax.profiler`."""

import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jax.profiler import ProfileData


@dataclasses.dataclass(frozen=True)
class Span:
    """One run of one operation.

    Attributes:
      device: such as `cpu:0`.
      operation: its name in the compiled program.
      start, end: seconds, on one clock for all devices.
    """

    device: str
    operation: str
    start: float
    end: float


def trace_files(folder: Path) -> set[Path]:
    """All traces in a folder, including those of earlier runs."""
    return set(folder.glob("plugins/profile/*/*.xplane.pb"))


def read_spans(path: Path) -> list[Span]:
    """Reads every run of an operation in a trace; empty where the trace names no operations."""
    with warnings.catch_warnings():
        # Python 3.12 misses a __module__ in types of the profiler's reader.
        warnings.simplefilter("ignore", DeprecationWarning)
        return list(_spans(ProfileData.from_file(str(path))))


def _spans(data: ProfileData) -> Iterator[Span]:
    for plane in data.planes:
        own_device = plane.name.removeprefix("/device:").lower()
        on_device = plane.name.startswith("/device:")
        lines = list(plane.lines)
        # The line "XLA Ops" holds all operations; the lines of the streams would repeat them.
        summary = [line for line in lines if on_device and line.name == "XLA Ops"]
        for line in summary or lines:
            for event in line.events:
                stats = dict(event.stats)
                operation = stats.get("hlo_op") or (event.name if summary else None)
                if operation is None:
                    continue
                device = own_device if on_device else f"cpu:{stats.get('device_ordinal', 0)}"
                name = str(operation).split(" = ")[0].lstrip("%")
                start = event.start_ns * 1e-9
                yield Span(device, name, start, start + event.duration_ns * 1e-9)


def covered_seconds(spans: Iterable[Span]) -> float:
    """Seconds in which at least one of the spans ran: overlaps count once."""
    times = np.array(sorted((span.start, span.end) for span in spans)).reshape(-1, 2)
    reached = np.maximum.accumulate(times[:, 1]) if len(times) else times[:, 1]
    begins = np.maximum(times[:, 0], np.concatenate([times[:1, 0], reached[:-1]]))
    return float(np.maximum(times[:, 1] - begins, 0).sum())
