"""Scan of the files of a large set: shape and hash of each example, kept for the next start."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from seqvision.errors import explain_os_error
from seqvision.runtime.atomic_write import write_atomically
from seqvision.runtime.regular_file import read_regular

# To be raised when the same files come to be scanned otherwise.
_VERSION = 7


class FileScan(NamedTuple):
    """What one example is.

    Attributes:
      shape: (T, height, width, channels) of its frames in their own size.
      fraction: see `hash_split.fraction_of`.
      pixels: the same of its frames as they are read, by the tones of its set.
      problem: why it cannot be read; "" where it can. `shape` is then (), the numbers 0.
    """

    shape: tuple[int, ...]
    fraction: float
    pixels: float
    problem: str = ""


def scan_path(cache_dir: Path, files: Iterable[Path], how: str = "") -> Path:
    """Where a scan is kept; another file when names, sizes or times of modification change.

    Args:
      cache_dir, files: the folder, and what is scanned.
      how: what else the result depends on.
    """
    digest = hashlib.sha256((repr(_VERSION) + how).encode())
    for file in files:
        try:
            stat = file.stat()
            facts = (str(file.absolute()), stat.st_size, stat.st_mtime_ns)
        except OSError:  # Such as a link to nowhere: it will be found to be broken.
            facts = (str(file.absolute()), 0, 0)
        digest.update(repr(facts).encode())
    return cache_dir / f"scan-{digest.hexdigest()[:16]}.json"


def load_scan(path: Path | None, fits: Callable[[list[FileScan]], bool]) -> list[FileScan] | None:
    """The scan that was kept.

    Args:
      path: from `scan_path`; None where nothing is kept.
      fits: whether a scan is of the examples that there are.

    Returns:
      None where there is none that fits, or where it is damaged.
    """
    try:
        scans = [
            FileScan(tuple(shape), fraction, pixels, problem)
            for shape, fraction, pixels, problem in load_json(path)
        ]
    except (ValueError, TypeError):
        return None
    return scans if fits(scans) else None


def save_scan(path: Path | None, scans: list[FileScan], say: Callable[[str], None]) -> None:
    """Writes the file atomically, if any; `say` is called with a line where that fails."""
    if path and (error := save_json(path, scans)):
        reason = explain_os_error(error, path.parent, "config.data.cache_dir")
        say(f"scan not kept, so the next start scans all files again: {reason}")


def load_json(path: Path | None) -> Any:
    """What was kept in a file; None where there is none, or where it is damaged."""
    try:
        return json.loads(read_regular(path)) if path else None
    except (OSError, ValueError):
        return None


def save_json(path: Path, content: Any) -> OSError | None:
    """Writes the file atomically; returns the error where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write(json.dumps(content).encode()))
    except OSError as error:
        return error
    return None
