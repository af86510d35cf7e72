"""What a run ran on: versions, devices, commit."""

import os
import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from seqvision import __version__
from seqvision.runs.files import ENVIRONMENT, read_json


def environment(workdir: Path, devices_used: int) -> dict[str, Any]:
    """Versions, devices and the commit of this code; `earlier` holds those before a resume."""
    path = workdir / ENVIRONMENT
    before = read_json(path) if path.exists() else None
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "seqvision": __version__,
        "git": git_commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpus": os.cpu_count(),
        "devices": [
            f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()
        ],
        "devices_used": devices_used,
        "processes": jax.process_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "command": sys.argv,
        "earlier": [] if before is None else [*before.pop("earlier", []), before],
    }


def git_commit() -> str | None:
    """The commit of the checkout this package lies in, `-dirty` if changed; None outside one."""
    package = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(package), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
