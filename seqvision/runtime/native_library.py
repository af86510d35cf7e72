"""A C++ file of this package, compiled once, for the processor of this machine."""

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jaxlib

from seqvision.config.user_path import user_cache
from seqvision.runtime.compilation_cache import processor
from seqvision.runtime.processes import is_primary

_COMPILERS = ("c++", "g++")
# No -ffast-math: it would hide a NaN from the check that the loss is finite.
_FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fno-math-errno", "-fno-trapping-math"),
    *("-fPIC", "-shared", "-pthread"),
)


class NoLibraryError(Exception):
    """There is no compiler, or it failed: one line."""


@functools.cache
def load_library(source: Path) -> ctypes.CDLL:
    """Loads what `source` compiles to; says so on stderr where it has to be compiled first.

    The library lies in the folder `native` of JAX's compilation cache (or of the user's cache
    folder), under a name that changes with the sources, the processor and jaxlib.

    Args:
      source: a `.cc` file, in a folder of its own with the headers it includes; it may include
        those of XLA's foreign function interface, too.

    Raises:
      NoLibraryError: there is no compiler, it fails, or there is no place for the library.
    """
    sources = sorted(path for path in source.parent.iterdir() if path.suffix in (".cc", ".h"))
    texts = [path.read_bytes() for path in sources]
    kind = " ".join((*_FLAGS, processor(), jaxlib.__version__))
    key = hashlib.sha256(b"\0".join([*texts, kind.encode()])).hexdigest()[:16]
    try:
        library = _folder() / f"{source.stem}-{key}.so"
        if not library.exists():
            _compile(source, library)
    except OSError as error:
        raise NoLibraryError(f"{error.filename}: {error.strerror}") from error
    return _loaded(library)


def compiler() -> list[str]:
    """The C++ compiler and its arguments: `CXX`, or one of the usual ones; [] if it is missing."""
    commands = [os.environ["CXX"]] if os.environ.get("CXX") else _COMPILERS
    for name, *arguments in filter(None, map(shlex.split, commands)):
        if path := shutil.which(name):
            return [path, *arguments]
    return []


def _folder() -> Path:
    compiled = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    folder = Path(compiled) if compiled and "://" not in compiled else user_cache()
    if folder is None:
        raise NoLibraryError("no home folder is known for what is compiled; set HOME")
    return folder / "native"


def _loaded(library: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise NoLibraryError(f"{error}; delete that file to compile it again") from error


def _compile(source: Path, library: Path) -> None:
    """Writes the library whole or not at all."""
    command = compiler()
    if not command:
        names = os.environ.get("CXX") or ", ".join(_COMPILERS)
        raise NoLibraryError(f"no C++ compiler is on the PATH ({names})")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".") as folder:
        if is_primary():
            print(f"compiling {source.name} with {command[0]}, once", file=sys.stderr, flush=True)
        made = Path(folder) / library.name
        name, *arguments = command
        include = f"-I{jax.ffi.include_dir()}"
        command = [name, *_FLAGS, *arguments, include, str(source), "-o", str(made)]
        # In a process group of its own: Ctrl-C is for the run, which then ends as it always does.
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, process_group=0
        )
        if done.returncode:
            reasons = [line for line in done.stderr.splitlines() if "error" in line]
            reason = reasons[0].strip() if reasons else f"exit code {done.returncode}"
            raise NoLibraryError(f"{command[0]} cannot compile {source.name}: {reason}")
        made.replace(library)
