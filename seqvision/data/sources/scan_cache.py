"""What was seen of each file of a large set when it was looked over, kept for the next time."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from seqvision.errors import explain_os_error

# To be raised when the same files come to be seen otherwise.
_VERSION = 1


class FileScan(NamedTuple):
    """What one example is.

    Attributes:
      shape: (T, height, width, channels) of its frames in their own size.
      fraction: see `split_rule`.
      problem: why it cannot be read; "" where it can. `shape` is then () and `fraction` 0.
    """

    shape: tuple[int, ...]
    fraction: float
    problem: str = ""


def scans_path(cache_dir: Path, files: Iterable[Path]) -> Path:
    """Where it is kept; another file when names, sizes or times of modification change."""
    digest = hashlib.sha256(repr(_VERSION).encode())
    for file in files:
        try:
            stat = file.stat()
            facts = (str(file.absolute()), stat.st_size, stat.st_mtime_ns)
        except OSError:  # Such as a link to nowhere: it will be found to be broken.
            facts = (str(file.absolute()), 0, 0)
        digest.update(repr(facts).encode())
    return cache_dir / f"looks-{digest.hexdigest()[:16]}.json"


def load_scans(path: Path) -> list[FileScan] | None:
    """What was written; None where nothing was, or where it is damaged."""
    try:
        return [
            FileScan(tuple(shape), fraction, problem)
            for shape, fraction, problem in json.loads(path.read_text())
        ]
    except (OSError, ValueError, TypeError):
        return None


def save_scans(path: Path, looks: list[FileScan], say: Callable[[str], None]) -> None:
    """Writes the file whole or not at all; says so where it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, suffix=".incomplete", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                json.dump(looks, file)
                file.close()
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = explain_os_error(error, path.parent, "config.data.cache_dir")
        say(f"not kept, so the next start looks all files over again: {reason}")
