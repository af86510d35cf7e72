"""Files of a run: names, JSON, and writing them whole or not at all."""

import json
from pathlib import Path
from typing import Any

from seqvision.errors import UserError
from seqvision.runtime.atomic_write import write_atomically
from seqvision.runtime.processes import is_primary

CONFIG = "config.json"
ENVIRONMENT = "environment.json"
STATUS = "status.json"
METRICS = "metrics.jsonl"
BACKBONE = "backbone.npz"  # Of a frozen one: checkpoints do not hold it.
IMPORTED = "imported.json"  # Where the first weights came from another library.


def write_whole(path: Path, text: str) -> None:
    """Writes a file whole or not at all; of several processes only the primary one writes."""
    if not is_primary():
        return
    # A file name within the text may hold bytes that are not UTF-8; they are written unchanged.
    content = text.encode("utf-8", errors="surrogateescape")
    write_atomically(path, lambda file: file.write(content))


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole or not at all."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def gone(workdir: Path, name: str) -> UserError:
    """The error where a file of a run vanished while it was training."""
    return UserError(
        f"{workdir}: {name} was deleted, moved or replaced while training, and what was recorded"
        " with it; run the same command again, and leave the folder alone meanwhile"
    )


def write_status(workdir: Path, status: str, step: int, **more: Any) -> None:
    """Writes `status.json`: `status` is running, done, diverged or interrupted."""
    write_json(workdir / STATUS, {"status": status, "step": step, **more})


def progress_files(workdir: Path) -> list[str]:
    """Names of the files and folders that tell how far a run has come."""
    files = (*workdir.glob(STATUS), *workdir.glob("checkpoints/*"))
    return sorted(path.name for path in files)
