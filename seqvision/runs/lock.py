"""One process at a time in a workdir."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from seqvision.errors import BusyError
from seqvision.runtime.processes import is_primary


@contextlib.contextmanager
def exclusive(workdir: Path) -> Iterator[None]:
    """Makes the workdir and keeps other runs from training in it; the first process does.

    Raises:
      BusyError: another process trains there.
      OSError: the folder cannot be made or written.
    """
    if not is_primary():
        yield
        return
    is_new = not workdir.exists()
    workdir.mkdir(parents=True, exist_ok=True)
    lock_path, owner = workdir / ".lock", workdir / ".lock-owner"
    lock = filelock.FileLock(lock_path, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = owner.read_text().strip() if owner.exists() else "another process"
        raise BusyError(
            f"{workdir}: {holder} is training here; wait for it, or choose another --workdir"
        ) from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        if is_new and {path.name for path in workdir.iterdir()} <= {lock_path.name, "checkpoints"}:
            # Nothing came of it, so nothing is left; rmdir refuses a folder that holds something.
            with contextlib.suppress(OSError):
                (workdir / "checkpoints").rmdir()
            with contextlib.suppress(OSError):
                lock_path.unlink()
                workdir.rmdir()
        lock.release()
