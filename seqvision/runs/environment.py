"""Description of a run in its workdir: config, versions, devices, commit, data, status."""

import dataclasses
import os
import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from seqvision import __version__
from seqvision.config.schema import Model, Settings
from seqvision.config.validation import flatten, nest
from seqvision.data.dataset import Dataset
from seqvision.models.backbones.weights import save_backbone
from seqvision.models.execution.choose import choose_execution
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.files import BACKBONE, CONFIG, ENVIRONMENT, write_json, write_status
from seqvision.runs.records import read_record
from seqvision.runtime.processes import is_primary
from seqvision.tasks.from_config import cell_options

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def write_description(
    settings: Settings,
    dataset: Dataset,
    mesh: Mesh,
    workdir: Path,
    start: int,
    peak_flops: float | None,
) -> dict[str, Any]:
    """Writes `config.json`, `environment.json` and the status `running`.

    Args:
      settings: of the run.
      dataset: what it trains on.
      mesh: the devices it trains on.
      workdir: the run's folder.
      start: completed steps.
      peak_flops: peak FLOP/s of the devices; None where it was not measured.

    Returns:
      The content of `environment.json`: versions, devices and commit of this process, facts about
      the data; `earlier` lists those before each resume.
    """
    path = workdir / ENVIRONMENT
    before = read_record(path, {"earlier?": [dict]}) if path.exists() else None
    content = {
        "seqvision": __version__,
        "git": git_commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "devices": [f"{one.platform}:{one.id} {one.device_kind}" for one in jax.devices()],
        "devices_used": mesh.size,
        "processes": jax.process_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "command": sys.argv,
        "earlier": [] if before is None else [*before.pop("earlier", []), before],
        "data": dataclasses.asdict(DataFacts.of(settings, dataset)),
        "execution": _execution(settings.model),
        "peak_flops": peak_flops,
    }
    if dataset.backbone is not None and is_primary():
        save_backbone(workdir / BACKBONE, dataset.backbone)
    write_json(workdir / CONFIG, nest(flatten(settings)))
    write_json(path, content)
    write_status(workdir, "running", start)
    return content


def _processor() -> str:
    """The name of the CPU; "" where Linux does not tell it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


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


def _execution(model: Model) -> str:
    """The execution path of the recurrent layers, never auto."""
    needs_scan = cell_options(model).needs_scan
    return choose_execution(
        model.execution, model.cell, model.hidden_size, model.compute_dtype, needs_scan
    )
