"""Regular files only: a pipe in the place of a file would be waited for without end."""

import errno
import io
import os
import stat
from pathlib import Path


class SpecialFileError(OSError):
    """A pipe, socket or device stands where a file is needed."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "a pipe, socket or device, and no regular file", str(path))


def regular(path: Path) -> Path:
    """The path itself, which may as well be missing: for libraries that open it themselves.

    Raises:
      SpecialFileError: it is neither a file nor a folder.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # Opening it gives the error.
        return path
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SpecialFileError(path)
    return path


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a file to read its bytes.

    Raises:
      OSError: it cannot be opened, or is no regular file.
    """
    # So a pipe, too, is opened at once.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    file = os.fdopen(number, "rb") if stat.S_ISREG(os.fstat(number).st_mode) else None
    if file is None:
        os.close(number)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise SpecialFileError(path)
    return file


def read_regular(path: Path) -> bytes:
    """The bytes of a file; see `open_regular`."""
    with open_regular(path) as file:
        return file.read()
