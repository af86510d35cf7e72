"""Checks and measures on one NVIDIA GPU that is at hand for a few minutes, most important first.

    python -m benchmarks.accelerator --minutes=8 --output=FOLDER

Each part runs in a process of its own with a limit of time. FOLDER/results.json and results.md are
replaced after every part, so that whatever stops it leaves what was done. It needs no network. The
exit code is 0 only where every part ended well. With --rehearse, everything is tiny, on the CPU.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.accelerator import parts
from benchmarks.accelerator.runner import run_parts
from benchmarks.machine import describe_command, describe_machine, describe_versions
from seqvision.errors import UserError

_ROOT = Path(__file__).parents[2]
# What is measured while nothing else computes; MNIST is prepared before.
_QUIET = ("steps", "flags")


def names(text: str) -> list[str]:
    """For argparse: some of the parts."""
    wrong = [name for name in text.split(",") if name not in parts.PARTS]
    if wrong:
        raise argparse.ArgumentTypeError(
            f"'{wrong[0]}' is not known; choose some of {', '.join(parts.PARTS)}"
        )
    return text.split(",")


def describe(rehearse: bool) -> dict[str, Any]:
    """The command, the machine, the card and the versions.

    Raises:
      UserError: there is no GPU.
    """
    facts = describe_command("benchmarks.accelerator") | {"machine": describe_machine()}
    gpus = facts["machine"]["gpus"]
    if not rehearse and not gpus:
        raise UserError(
            "nvidia-smi shows no NVIDIA GPU; run it where there is one, or with --rehearse (tiny"
            " sizes, on the CPU)"
        )
    versions = describe_versions()
    for library in ("jaxlib", "torch"):
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "not installed"
    card = "a rehearsal on the CPU" if rehearse else gpus[0].partition(",")[0]
    return facts | {"card": card, "versions": versions}


def environment_of(rehearse: bool, scratch: Path) -> dict[str, str]:
    """Variables of all processes; `scratch` is theirs to write in."""
    environment = {
        "JAX_PLATFORMS": "cpu" if rehearse else "cuda,cpu",
        # Several processes share the card.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        # Nothing was compiled before, and nothing stays.
        "JAX_COMPILATION_CACHE_DIR": str(scratch / "compiled"),
        "XDG_CACHE_HOME": str(scratch / "cache"),
        "PYTHONUNBUFFERED": "1",
        "SEQVISION_ACCELERATOR_SCRATCH": str(scratch),
    }
    if rehearse:
        environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # Nobody reads its times.
    if not os.access(Path.home(), os.W_OK):
        environment["HOME"] = str(scratch)
    return environment


def prepare_mnist(environment: dict[str, str], scratch: Path) -> subprocess.Popen[bytes]:
    """Begins to prepare MNIST with two steps of training on the CPU, beside the first part."""
    run = ["--config=configs/row_lstm.py:fast", "--config.duration=2 steps"]
    run += ["--config.schedule.warmup=1 steps", f"--workdir={scratch / 'prepare'}"]
    run.append("--report=false")
    return subprocess.Popen(
        [sys.executable, "main.py", *run],
        cwd=_ROOT,
        env=os.environ | environment | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.accelerator", __doc__, results=False)
    add = parser.add_argument
    add("--minutes", type=options.positive, default=8.0, help="for all parts; by default 8")
    add("--output", type=Path, required=True, metavar="FOLDER", help="takes the results")
    add("--parts", type=names, default=list(parts.PARTS), metavar="A,B", help="by default all")
    add("--rehearse", action="store_true", help="tiny sizes, on the CPU")
    chosen = parser.parse_args(arguments)
    facts = describe(chosen.rehearse)
    chosen.output.mkdir(parents=True, exist_ok=True)
    shares = {name: parts.PARTS[name] for name in parts.PARTS if name in chosen.parts}
    if chosen.rehearse:  # On any machine, however busy.
        shares = dict.fromkeys(shares, 1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = environment_of(chosen.rehearse, Path(folder))
        preparation = None if chosen.rehearse else prepare_mnist(environment, Path(folder))
        if preparation is not None and next(iter(shares)) in _QUIET:
            preparation.wait(120)
        try:
            is_well = run_parts(
                shares,
                lambda name, path, limit: parts.command(name, path, limit, chosen.rehearse),
                60 * chosen.minutes,
                chosen.output.absolute(),
                facts,
                environment | {"PYTHONPATH": _with_root(os.environ.get("PYTHONPATH", ""))},
            )
        finally:
            if preparation is not None:
                preparation.kill()
                preparation.wait()
    print(f"{chosen.output / 'results.md'} and results.json", flush=True)
    return 0 if is_well else 1


def _with_root(path: str) -> str:
    return os.pathsep.join([str(_ROOT), *filter(None, [path])])


if __name__ == "__main__":
    sys.exit(options.run(main))
