"""Runs parts one after another, each in a process group with a limit, and keeps what they found."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.accelerator.parts import PARTS
from benchmarks.accelerator.tables import markdown
from seqvision.runtime.atomic_write import write_atomically

Command = Callable[[str, Path, float], list[str]]
"""Name, record and seconds of a part to its command line."""
_LAST_LINES = 12
# Seconds after which the results of a part under way are written again.
_LOOK = 2.0
# A part ends itself in order before its limit, at which it is killed.
_GRACE = 0.93


def run_parts(
    parts: Mapping[str, float],
    command: Command,
    seconds: float,
    folder: Path,
    facts: dict[str, Any],
    environment: Mapping[str, str],
) -> bool:
    """Runs all parts; what is left of one's time goes to those after it.

    Args:
      parts: their names and shares of the time.
      command: of each.
      seconds: for all of them.
      folder: takes `results.json` and `results.md`, replaced after every part.
      facts: of the machine, at the head of the results.
      environment: of the processes, besides this one's own.

    Returns:
      Whether every part ended well.
    """
    end = time.monotonic() + seconds
    results: dict[str, dict[str, Any]] = {}
    waiting = dict(parts)
    for name in parts:
        left = max(end - time.monotonic(), 1.0)
        limit = left * waiting.pop(name) / (parts[name] + sum(waiting.values()))
        path = folder / f".{name}.json"
        print(f"[{left:4.0f} s left]  {name}, at most {limit:.0f} s", flush=True)

        def keep(found: dict[str, Any], name: str = name) -> None:
            results[name] = found
            write_results(folder, facts | {"parts": results})

        ended = run_part(command(name, path, limit * _GRACE), path, limit, environment, keep)
        keep(ended)
        print(f"    {name}: {ended['status']} after {ended['seconds']:.0f} s", flush=True)
    return all(ended["status"] == "done" for ended in results.values())


def run_part(
    command: list[str],
    path: Path,
    limit: float,
    environment: Mapping[str, str],
    keep: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Runs one part.

    Args:
      command: starts it.
      path: its record.
      limit: seconds after which it is killed, with all that it started.
      environment: besides this process's own.
      keep: given what it has found so far, now and then.

    Returns:
      What its record holds; `status`: `done`, `failed` or `cut` (by its limit); `seconds`; of a
      part that did not end well the last lines of its stderr.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command, env=os.environ | environment, stderr=errors, start_new_session=True
        )
        status = "cut"
        try:
            while (seconds := time.monotonic() - start) < limit:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = "failed" if process.wait(min(_LOOK, limit - seconds)) else "done"
                    break
                keep({"status": "running", "seconds": seconds, **_read(path)})
        finally:
            # Also what it started and left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found: dict[str, Any] = {"status": status, "seconds": time.monotonic() - start}
        if status != "done":
            errors.seek(0)
            lines = [line.rstrip()[:300] for line in errors if line.strip()]
            found["stderr"] = lines[-_LAST_LINES:]
    found |= _read(path)
    path.unlink(missing_ok=True)
    return found


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def write_results(folder: Path, results: Mapping[str, Any]) -> None:
    """`results.json` and `results.md`."""
    for name, text in (
        ("results.json", json.dumps(results, indent=1) + "\n"),
        ("results.md", markdown(results, tuple(PARTS))),
    ):
        _write(folder / name, text)


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
