"""TensorBoard's file of a run's scalars."""

import os
import time
from pathlib import Path
from typing import Any

_SECONDS = 30
"""How long a curve may lag behind."""


class EventFile:
    """Writes scalars, which are on the disk after `flush`, and soon without it.

    tensorboardX's `SummaryWriter` hands them to a thread, for which its `flush` does not wait
    (seen in 2.6.5): what a kill after it loses is missing in the resumed run's curves.

    Args:
      folder: where the file is made.
      first_step: TensorBoard drops what earlier files of the folder hold from this step on.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        # A start and its resumption within one second have files of their own.
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}.{time.time_ns()}")
        self._write(first_step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds a point to the curve `name`."""
        from tensorboardX.summary import scalar

        self._write(step, summary=scalar(name, value))
        if time.monotonic() > self._next_flush:
            self.flush()

    def flush(self) -> None:
        """Waits until all points are on the disk."""
        self._writer.flush()
        self._next_flush = time.monotonic() + _SECONDS

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
