"""What a part has found so far, on disk after every case."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqvision.runtime.atomic_write import write_atomically


class Record:
    """Rows of tables, failures, and what was left out; threads may share it.

    Args:
      path: JSON, replaced whenever something is added.
      seconds: how long the part may take, from now.
      rehearse: whether sizes are tiny, on the CPU.
    """

    def __init__(self, path: Path, seconds: float, rehearse: bool) -> None:
        self.rehearse = rehearse
        self._path, self._end = path, time.monotonic() + seconds
        self._lock = threading.Lock()
        self._found: dict[str, list[Any]] = {"rows": [], "failed": [], "left_out": []}
        self._write()

    @property
    def left(self) -> float:
        """Seconds left."""
        return self._end - time.monotonic()

    @property
    def has_failed(self) -> bool:
        """Whether something failed."""
        return bool(self._found["failed"])

    def tell(self, work: str) -> None:
        """A line of progress: what begins now, and the time left for the part."""
        print(f"    [{max(self.left, 0):4.0f} s left]  {work}", flush=True)

    def add(self, table: str, **cells: Any) -> None:
        """A row of the table of that heading."""
        self._add("rows", {"table": table, **cells})

    def fail(self, case: str, reason: str) -> None:
        """The part goes on, and has failed at its end."""
        print(f"    failed: {case}: {reason}", flush=True)
        self._add("failed", {"case": case, "reason": reason})

    def leave_out(self, case: str, reason: str) -> None:
        """What was not done, and is no failure."""
        self._add("left_out", {"case": case, "reason": reason})

    @contextlib.contextmanager
    def case(self, name: str) -> Iterator[None]:
        """What goes wrong inside is a failure of this case alone."""
        try:
            yield
        except Exception as error:  # Device time is short: the next case runs.
            self.fail(name, first_line(error))

    def _add(self, kind: str, entry: Any) -> None:
        with self._lock:
            self._found[kind].append(entry)
            self._write()

    def _write(self) -> None:
        raw = json.dumps(self._found, indent=1).encode()
        write_atomically(self._path, lambda file: file.write(raw))


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:400]}" if lines else type(error).__name__
