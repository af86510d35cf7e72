"""The machine, versions and command of a result."""

import contextlib
import datetime
import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from seqvision.runtime.cpu_devices import usable_cores

_FOLDER = Path(__file__).parent


def describe_machine() -> dict[str, Any]:
    """CPU, physical cores that this process may use, memory, GPUs and the load average."""
    num_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory": f"{num_bytes / 2**30:.1f} GiB",
        "gpus": _lines(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]),
        "load_average": os.getloadavg()[0],
    }


def describe_versions() -> dict[str, str]:
    """Versions of Python and of jax (where it is installed), which is not imported."""
    versions = {"python": platform.python_version()}
    with contextlib.suppress(metadata.PackageNotFoundError):
        versions["jax"] = metadata.version("jax")
    return versions


def describe_devices() -> str:
    """The devices of JAX, for example `2 x cpu`; imports jax."""
    import jax

    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"


def describe_command(module: str) -> dict[str, Any]:
    """The command line (without the places of other interpreters), its date and its commit."""
    arguments = [
        f"{name}=PYTHON" if name.endswith("_python") else argument
        for argument in sys.argv[1:]
        for name in (argument.partition("=")[0],)
    ]
    return {
        "command": shlex.join(["python", "-m", module, *arguments]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit_of(_FOLDER),
    }


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, and whether it was changed; "" outside of one."""
    git = ["git", "-C", str(checkout.absolute())]
    commit = _lines([*git, "rev-parse", "HEAD"])
    changed = _lines([*git, "status", "--porcelain", "--untracked-files=no"])
    return "".join(commit) + (" with changes" if changed else "")


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def _lines(command: list[str]) -> list[str]:
    """The output of a command; nothing where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
