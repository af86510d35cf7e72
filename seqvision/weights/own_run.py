"""Own runs: a workdir is recognised here; `seqvision.runs` reads it."""

from pathlib import Path

_CONFIG, _CHECKPOINTS = "config.json", "checkpoints"


def is_own_run(path: Path) -> bool:
    """Whether a folder is the workdir of a run of seqvision."""
    return (path / _CONFIG).is_file() and (path / _CHECKPOINTS).is_dir()
