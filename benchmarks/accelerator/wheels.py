"""Downloads the wheels that a machine without a network needs beside what it has.

    python -m benchmarks.accelerator.wheels --output=FOLDER

They are those of `wheels.txt`, for CPython 3.12 on Linux x86-64. There:

    python3 -m pip install --no-index --no-deps --target SITE FOLDER/*.whl
    PYTHONPATH=SITE python3 -m benchmarks.accelerator --output=RESULTS
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import options
from seqvision.errors import UserError

_LIST = Path(__file__).with_name("wheels.txt")
_GLIBC = ("_2_28", "_2_27", "_2_17", "2014", "1")
# No wheel is published of these; they hold no compiled code.
_BUILT = ("promise",)


def requirements() -> list[str]:
    """`name==version` of each line."""
    lines = [line.partition("#")[0].strip() for line in _LIST.read_text().splitlines()]
    return [line for line in lines if line]


def download(names: Sequence[str], folder: Path) -> None:
    """Downloads them, and builds those of which there is no wheel.

    Raises:
      UserError: pip could not.
    """
    pip = [sys.executable, "-m", "pip"]
    built = [name for name in names if name.partition("==")[0] in _BUILT]
    published = [name for name in names if name not in built]
    target = ["--python-version=3.12", "--implementation=cp"]
    target += [f"--platform=manylinux{glibc}_x86_64" for glibc in _GLIBC]
    _run([*pip, "download", "--only-binary=:all:", *target, "--dest", str(folder)], published)
    _run([*pip, "wheel", "--wheel-dir", str(folder)], built)


def _run(command: list[str], names: Sequence[str]) -> None:
    done = subprocess.run(
        [*command, "--quiet", "--no-deps", *names], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(f"pip: {lines[-1] if lines else done.stderr.strip()[-300:]}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator.wheels",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    folder = parser.parse_args(arguments).output
    folder.mkdir(parents=True, exist_ok=True)
    names = requirements()
    download(names, folder)
    sizes = [path.stat().st_size for path in folder.glob("*.whl")]
    print(f"{folder}: {len(sizes)} wheels, {sum(sizes) / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
