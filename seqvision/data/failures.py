"""What an operating system error means to the user, in one line."""

import errno
import shutil
from pathlib import Path


def explain_os_error(error: OSError, folder: Path, field: str) -> str:
    """Names the path, the reason and the way out.

    Args:
      error: what the operating system said.
      folder: the folder that was being written or read.
      field: the setting or flag that chooses the folder.
    """
    where = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        parent = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(parent).free / 2**20
        return (
            f"{folder}: the disk is full ({free:.0f} MiB free); free some space or choose another"
            f" folder with {field}, then run again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}: no permission; choose another folder with {field} or change its rights"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{where}: a file stands where a folder is needed; choose another with {field}"
    return f"{where}: {error.strerror or error}; check it or choose another folder with {field}"
