"""Whole commands `python main.py ...`, with a limit, and what their records say."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.timed_run import accuracy_in

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass
class Training:
    """What a training left.

    Attributes:
      seconds: of the whole process.
      error: why it failed; None where it did not, and where it was cut.
      was_cut: whether it was killed at its limit.
      accuracy: of the test set in %, as it printed it; None where it did not come to that.
      losses: of the training, as logged.
      first_log: seconds from its start to the first line of the log: data, compiling, first steps.
      rows: the lines of metrics.jsonl.
      throughput: of status.json: `examples_per_second` and more, without compiling.
    """

    seconds: float
    error: str | None
    was_cut: bool
    accuracy: float | None
    losses: list[float]
    first_log: float | None
    rows: list[dict[str, Any]]
    throughput: dict[str, Any]


def train(
    config: str,
    options: Sequence[str],
    limit: float,
    environment: Mapping[str, str] | None = None,
) -> Training:
    """Runs `main.py` in a folder of its own, which does not stay."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("SEQVISION_ACCELERATOR_SCRATCH")) as folder:
        workdir = Path(folder, "run")
        command = [sys.executable, "main.py", f"--config={config}", f"--workdir={workdir}"]
        command.append("--report=false")
        start, was_cut, output, errors, code = time.monotonic(), False, "", "", 0
        process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=os.environ | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            output, errors = process.communicate(timeout=max(limit, 1))
            code = process.returncode
        except subprocess.TimeoutExpired:
            was_cut = True
            process.kill()
            process.communicate()
        rows = _rows(workdir / "metrics.jsonl")
        trained = [row for row in rows if row["split"] == "train"]
        status = workdir / "status.json"
        facts = json.loads(status.read_text()) if status.exists() else {}
        found = [accuracy_in(line) for line in output.splitlines() if line.startswith("test ")]
        words = [line.strip() for line in errors.splitlines() if line.strip()]
        return Training(
            seconds=time.monotonic() - start,
            error=f"exit code {code}: {' / '.join(words[-3:])[:500]}" if code else None,
            was_cut=was_cut,
            accuracy=next((one for one in found if one is not None), None),
            losses=[row["loss"] for row in trained],
            first_log=trained[0]["seconds"] if trained else None,
            rows=rows,
            throughput=facts.get("throughput") or {},
        )


def compiled_in(folder: str) -> dict[str, str]:
    """Keeps all compiled programs there, small ones too, as seqvision does by itself."""
    return {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    """A line that is half written is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
