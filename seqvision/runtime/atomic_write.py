"""Atomic writes: a file is there as a whole or not at all, whatever happens meanwhile."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file beside `path`, then renames it to `path`; several processes may do so at once.

    Args:
      path: the file; one that is there is replaced.
      write: called with the open file, for bytes.

    Raises:
      OSError: the folder is missing or cannot be written, or the disk is full. Nothing is left.
    """
    # Not made of the file's name, which may be as long as a name can be.
    temporary = path.with_name(f".{secrets.token_hex(16)}.incomplete")
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
