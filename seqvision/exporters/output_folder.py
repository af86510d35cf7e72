"""The folder of an export, written whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqvision.config.user_path import expanded
from seqvision.errors import UserError, explain_os_error


def checked_folder(output: str, flag: str = "--output") -> Path:
    """The folder that `--output`, or another flag, names, where it can be made.

    Of a link to an empty folder, that one.

    Raises:
      UserError: none is named, something is there, or there is no folder to make it in.
    """
    if not output:
        raise UserError(f"{flag}: missing; name a folder to write, such as {flag}=exported")
    named = expanded(output, flag)
    try:
        if named.is_dir() and os.path.ismount(named):
            raise UserError(f"{flag}: {named} is where a disk is mounted; name a folder in it")
        if named.is_dir() and not any(named.iterdir()):
            return named.resolve()
        if named.exists() or named.is_symlink():
            raise UserError(
                f"{flag}: {named} is there already; name a folder that is not, or an empty one"
            )
        target = named.parent.resolve() / named.name
        if not target.parent.is_dir():
            raise UserError(f"{flag}: the folder {named.parent} does not exist; make it first")
    except OSError as error:
        raise UserError(explain_os_error(error, named, flag)) from None
    return target


def write_folder(target: Path, write: Callable[[Path], Any], flag: str = "--output") -> Any:
    """Writes a folder beside `target`, then renames it to that.

    Args:
      target: not there, or empty.
      write: called with the folder that is there meanwhile.
      flag: which named it.

    Returns:
      What `write` returns.

    Raises:
      UserError: it cannot be written. Nothing is left.
    """
    folder = target.with_name(f".{secrets.token_hex(16)}.incomplete")
    try:
        folder.mkdir()
        content = write(folder)
        folder.replace(target)
    except BrokenPipeError:  # The reader of the output has ended; the folder is fine.
        raise
    except OSError as error:
        if str(error.filename).startswith(str(folder)):  # Of this name, nobody has heard.
            error = OSError(error.errno, error.strerror, str(target))
        raise UserError(explain_os_error(error, target, flag)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return content
