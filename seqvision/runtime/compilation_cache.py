"""Compiled programs, kept for the next start. Imports no jax: it reads these settings once."""

import hashlib
import importlib.util
import os
import platform
from collections.abc import Callable
from pathlib import Path

import platformdirs

from seqvision.errors import explain_os_error

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_MOST_BYTES = 2**30


def enable_compilation_cache(say: Callable[[str], None] = print) -> None:
    """Makes JAX keep what it compiles in the user's cache folder; the least used goes first.

    Call it before jax is imported: it writes into `JAX_...` variables. Those that are set already
    are kept, and `JAX_ENABLE_COMPILATION_CACHE=false` switches it off. A folder of the user's own
    grows without a limit, unless that is set too.

    Args:
      say: called with a line where the folder cannot be written; then nothing is kept.
    """
    is_off = os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in ("false", "0", "off")
    if is_off:
        return
    if _FOLDER not in os.environ:
        folder = platformdirs.user_cache_path("seqvision") / "compiled" / _processor()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
        except OSError as error:
            say(f"compiled anew at each start: {explain_os_error(error, folder, _FOLDER)}")
            return
        os.environ[_FOLDER] = str(folder)
        # Only here: with a limit, jax deletes others' programs, and can write none beside those
        # that were kept without one.
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(_MOST_BYTES))
    # Every program counts: a run starts with some ten small ones.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    # XLA:CPU logs as an error, for each program it loads, that this processor lacks features which
    # no processor has (prefer-no-gather). What really fails is raised. With an accelerator, errors
    # of its driver are only logged.
    if _runs_on_cpu():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _runs_on_cpu() -> bool:
    """Whether jax can find no accelerator: by its own variable, or because none is installed."""
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms:
        return platforms == "cpu"
    return not any(importlib.util.find_spec(name) for name in ("jax_plugins", "libtpu"))


def _processor() -> str:
    """Names the instruction set: JAX's own key leaves it out, and home folders are shared."""
    features = {platform.processor()}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(("flags", "Features", "model name")):
            features.add(line)
    text = "\n".join(sorted(features))  # Once each: the CPUs of a machine may change in number.
    return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
