"""Regular files only: a pipe in the place of a file would be waited for without end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class SpecialFileError(OSError):
    """A pipe, socket or device stands where a file is needed."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "a pipe, socket or device, and no regular file", str(path))


def open_regular(path: Path) -> BinaryIO:
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
