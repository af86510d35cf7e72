"""The persistent compilation cache of jax. Imports no jax, which reads these settings once."""

import hashlib
import importlib.util
import os
import platform
from collections.abc import Callable
from pathlib import Path

from seqvision.config.user_path import user_cache
from seqvision.errors import explain_os_error

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_MOST_BYTES = 2**30


def enable_compilation_cache(say: Callable[[str], None] = print) -> None:
    """Sets jax's environment variables so that it caches compiled programs on the disk.

    Call it before jax is imported. Variables that are set already are kept;
    `JAX_ENABLE_COMPILATION_CACHE=false` disables the cache. The folder is in the user's cache
    folder and at most 1 GiB large, the least recently used programs are deleted first. A folder
    that the user chose with `JAX_COMPILATION_CACHE_DIR` has no limit of ours.

    Args:
      say: called with a line where the folder cannot be written; nothing is cached then.
    """
    is_off = os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in ("false", "0", "off")
    if is_off:
        return
    if _FOLDER not in os.environ:
        cache = user_cache()
        if cache is None:
            say(f"compiled anew at each start: no home folder is known here; set HOME or {_FOLDER}")
            return
        folder = cache / "compiled" / processor()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
        except OSError as error:
            say(f"compiled anew at each start: {explain_os_error(error, folder, _FOLDER)}")
            return
        os.environ[_FOLDER] = str(folder)
        # Not for the user's own folder: with a limit, jax deletes programs of other projects, and
        # cannot write beside programs that were cached without one.
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(_MOST_BYTES))
    # Small programs too: a run compiles about ten of them at its start.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    # For each program it loads, XLA:CPU logs an error about features that no processor has
    # (prefer-no-gather). Real errors are raised. An accelerator's driver only logs its errors, so
    # there the log stays on.
    if _runs_on_cpu():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _runs_on_cpu() -> bool:
    """Whether jax runs on the CPU: by `JAX_PLATFORMS`, or because no plugin is installed."""
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms:
        return platforms == "cpu"
    return not any(importlib.util.find_spec(name) for name in ("jax_plugins", "libtpu"))


def processor() -> str:
    """A name for the instruction set: jax's keys lack it, and machines may share a home folder."""
    features = {platform.processor()}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(("flags", "Features", "model name")):
            features.add(line)
    text = "\n".join(sorted(features))  # Once each: independent of the number of CPUs.
    return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
