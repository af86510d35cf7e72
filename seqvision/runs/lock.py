"""The lock of a workdir: only one process trains in it at a time."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from seqvision.errors import BusyError
from seqvision.runtime.atomic_write import write_atomically
from seqvision.runtime.processes import is_primary
from seqvision.runtime.regular_file import read_regular

_LOCK, _OWNER = ".lock", ".lock-owner"


@contextlib.contextmanager
def exclusive(workdir: Path) -> Iterator[None]:
    """Creates the workdir and locks it; of several processes only the primary one does.

    Raises:
      BusyError: another process holds the lock.
      OSError: the folder cannot be created or written.
    """
    if not is_primary():
        yield
        return
    is_new = not workdir.exists()
    workdir.mkdir(parents=True, exist_ok=True)
    lock_path, owner = workdir / _LOCK, workdir / _OWNER
    # `is_locked` of others holds it for a moment.
    lock = filelock.FileLock(lock_path, timeout=1)
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = (
            read_regular(owner).decode(errors="replace").strip()
            if owner.exists()
            else "another process"
        )
        raise BusyError(
            f"{workdir}: {holder} is training here; wait for it, or choose another --workdir"
        ) from None
    try:
        content = f"process {os.getpid()} on {socket.gethostname()}\n".encode()
        write_atomically(owner, lambda file: file.write(content))
        yield
    finally:
        owner.unlink(missing_ok=True)
        left = {path.name for path in workdir.iterdir()} if workdir.is_dir() else set()
        if is_new and left <= {lock_path.name, "checkpoints"}:
            # Nothing was saved, so nothing is left; rmdir refuses a folder that is not empty.
            with contextlib.suppress(OSError):
                (workdir / "checkpoints").rmdir()
            with contextlib.suppress(OSError):
                lock_path.unlink()
                workdir.rmdir()
        lock.release()


def is_locked(workdir: Path) -> bool:
    """Whether another process trains in the workdir; False where the folder does not exist."""
    if not (workdir / _LOCK).exists():
        return False
    try:
        with filelock.FileLock(workdir / _LOCK, blocking=False):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False  # The run itself will say what is wrong.
