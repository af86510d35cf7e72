"""Errors that the user can correct, and their one-line messages."""

import difflib
import errno
import shutil
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """One line that names the thing, what was found, what is allowed and what to do.

    The command prints it without a traceback and exits with `exit_code`; a notebook shows the line
    alone.
    """

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"error: {self}"]


class BusyError(UserError):
    """Another process is using the folder: the same command may work later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h.


def explain_os_error(error: Exception, folder: Path, field: str) -> str:
    """Names the path, the reason and the way out.

    Args:
      error: what the operating system said, or a library that passes its words on.
      folder: the folder that was being written or read.
      field: the setting or flag that chooses the folder.
    """
    number = error.errno if isinstance(error, OSError) else None
    where = getattr(error, "filename", None) or folder
    if is_disk_full(error):
        parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(parent).free / 2**20
        return (
            f"{folder}: the disk is full ({free:.0f} MiB free); free some space or choose another"
            f" folder with {field}, then run again"
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}: no permission; choose another folder with {field} or change its rights"
    if number in (errno.ENOTDIR, errno.EEXIST):
        return f"{where}: a file stands where a folder is needed; choose another with {field}"
    reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
    return f"{where}: {reason}; check it or choose another folder with {field}"


def is_disk_full(error: Exception) -> bool:
    """True for the operating system's error, and for those of libraries that quote it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left on device" in str(error) or "Disk quota exceeded" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """True where JAX could not allocate memory on a device."""
    return "RESOURCE_EXHAUSTED" in str(error)


def explain_out_of_memory(error: BaseException, sizes: str = "") -> str:
    """Names what to lower and the reason.

    Args:
      error: JAX's.
      sizes: those in use, such as `config.data.batch_size=128`.
    """
    used = f" with {sizes}" if sizes else ""
    return (
        f"out of memory{used}; lower config.data.batch_size, config.data.eval_batch_size or"
        f" config.model.hidden_size ({first_line(error)})"
    )


def first_line(error: BaseException, width: int = 200) -> str:
    """The kind of an error and the first line of its message."""
    lines = [line.strip(" *") for line in str(error).splitlines() if line.strip(" *")]
    return f"{type(error).__name__}: {lines[0][:width]}" if lines else type(error).__name__


def did_you_mean(name: str, allowed: Iterable[str], prefix: str = "") -> str:
    """`; did you mean 'NEAREST'?`, or nothing where no allowed name is near."""
    nearest = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean '{prefix}{nearest[0]}'?" if nearest else ""
