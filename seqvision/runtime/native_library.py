"""A C++ file of this package, compiled once, for the processor of this machine."""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax

from seqvision.config.user_path import user_cache
from seqvision.runtime.compilation_cache import processor
from seqvision.runtime.processes import is_primary

COMPILERS = ("c++", "g++", "clang++")
# No -ffast-math: it would hide a NaN from the check that the loss is finite.
_FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fno-math-errno", "-fno-trapping-math"),
    *("-fPIC", "-shared", "-pthread"),
)


class NoLibraryError(Exception):
    """There is no compiler, or it failed: one line."""


class NativeLibrary(NamedTuple):
    """A loaded library.

    Attributes:
      functions: by their names.
      key: changes with what they do.
    """

    functions: ctypes.CDLL
    key: str


@functools.cache
def load_library(source: Path) -> NativeLibrary:
    """Loads what `source` compiles to; says so on stderr where it has to be compiled first.

    The library lies in the user's cache folder, under a name that changes with the sources, the
    processor and jaxlib.

    Args:
      source: a `.cc` file, in a folder of its own with the headers it includes; it may include
        those of XLA's foreign function interface, too.

    Raises:
      NoLibraryError: there is no compiler, it fails, or there is no place for the library.
    """
    cache = user_cache()
    if cache is None:
        raise NoLibraryError("no home folder is known for what is compiled; set HOME")
    texts = [path.read_text() for path in sorted(source.parent.glob("*.*"))]
    parts = *texts, " ".join(_FLAGS), processor(), jax.lib.__version__
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    library = cache / "native" / f"{source.stem}-{key}.so"
    if not library.exists():
        _compile(source, library)
    return NativeLibrary(_loaded(library), key)


def _loaded(library: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise NoLibraryError(f"{error}; delete that file to compile it again") from error


def _compile(source: Path, library: Path) -> None:
    """Writes the library whole or not at all."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    compiler = next((path for name in names if (path := shutil.which(name))), None)
    if compiler is None:
        raise NoLibraryError(f"no C++ compiler is on the PATH ({', '.join(names)})")
    if is_primary():
        print(f"compiling {source.name} with {compiler}, once", file=sys.stderr, flush=True)
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent, prefix=".") as folder:
            made = Path(folder) / library.name
            include = f"-I{jax.ffi.include_dir()}"
            command = [compiler, *_FLAGS, include, str(source), "-o", str(made)]
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False
            )
            if done.returncode:
                reasons = [line for line in done.stderr.splitlines() if "error" in line]
                reason = reasons[0].strip() if reasons else f"exit code {done.returncode}"
                raise NoLibraryError(f"{compiler} cannot compile {source.name}: {reason}")
            made.replace(library)
    except OSError as error:
        raise NoLibraryError(f"{error.filename or compiler}: {error.strerror}") from error
