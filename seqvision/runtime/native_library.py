"""A C++ file of this package, compiled once, for the processor of this machine."""

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import signal
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
_MOST_SECONDS = 300
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
    folder). Its name changes with the sources, the processor, jaxlib and `CXX`, and ends in its
    checksum: a damaged one is compiled again.

    Args:
      source: a `.cc` file, in a folder of its own with the headers it includes; it may include
        those of XLA's foreign function interface, too.

    Raises:
      NoLibraryError: there is no compiler, it fails, or there is no place for the library.
    """
    sources = sorted(path for path in source.parent.iterdir() if path.suffix in (".cc", ".h"))
    texts = [path.read_bytes() for path in sources]
    kind = " ".join((*_FLAGS, processor(), jaxlib.__version__, os.environ.get("CXX", "")))
    name = f"{source.stem}-{_digest(b'|'.join([*texts, kind.encode()]))}"
    try:
        folder = _folder()
        library = _intact(folder, name) or _compile(source, folder, name)
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        advice = "JAX_COMPILATION_CACHE_DIR names another folder"
        raise NoLibraryError(f"{where}; {advice}") from error
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:  # Of another kind of file, or in a folder that nothing is run from.
        advice = "CXX names another compiler, JAX_COMPILATION_CACHE_DIR another folder"
        raise NoLibraryError(f"it cannot be loaded: {error}; {advice}") from error


def compiler() -> list[str]:
    """The C++ compiler and its arguments: `CXX`, or one of the usual ones; [] if it is missing."""
    commands = [os.environ["CXX"]] if os.environ.get("CXX") else _COMPILERS
    try:
        words = [shlex.split(command) for command in commands]
    except ValueError:  # A quotation mark without its partner.
        return []
    for name, *arguments in filter(None, words):
        if path := shutil.which(name):
            return [path, *arguments]
    return []


def _folder() -> Path:
    compiled = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    folder = Path(compiled) if compiled and "://" not in compiled else user_cache()
    if folder is None:
        raise NoLibraryError("no home folder is known for what is compiled; set HOME")
    return folder / "native"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _intact(folder: Path, name: str) -> Path | None:
    """The library of that name. One that was cut short would end the process when it is loaded."""
    for path in folder.glob(f"{name}-*.so"):
        if path.is_file() and path.stem.removeprefix(f"{name}-") == _digest(path.read_bytes()):
            return path
    return None


def _compile(source: Path, cache: Path, name: str) -> Path:
    """Writes the library whole or not at all."""
    command = compiler()
    if not command:
        if os.environ.get("CXX"):
            named = os.environ["CXX"]
            hint = ", or needs quotation marks around its spaces" if " " in named else ""
            raise NoLibraryError(f"CXX names {named}, which is not on the PATH{hint}")
        raise NoLibraryError(f"no C++ compiler is on the PATH ({', '.join(_COMPILERS)})")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".") as folder:
        if is_primary():
            print(f"compiling {source.name} with {command[0]}, once", file=sys.stderr, flush=True)
        made = Path(folder) / f"{name}.so"
        program, *arguments = command
        include = f"-I{jax.ffi.include_dir()}"
        _run([program, *_FLAGS, *arguments, include, str(source), "-o", str(made)], source.name)
        if not made.exists():
            raise NoLibraryError(f"{program} wrote no library")
        return made.rename(cache / f"{name}-{_digest(made.read_bytes())}.so")


def _run(command: list[str], source: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_MOST_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise NoLibraryError(f"{command[0]} took more than {_MOST_SECONDS} s") from error
    if done.returncode == -signal.SIGINT:  # Ctrl-C reaches both; nothing is to be saved yet.
        raise KeyboardInterrupt
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        # A linker says what failed before the compiler says that the linker did.
        errors = [line for line in lines if "error" in line or "failed" in line] or lines[-1:]
        reason = errors[0] if errors else f"exit code {done.returncode}"
        raise NoLibraryError(f"{command[0]} cannot compile {source}: {reason}")
