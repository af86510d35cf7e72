"""What a run writes into its workdir, and the header it prints."""

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import jax

from seqvision import __version__
from seqvision.errors import BusyError, UserError, explain_os_error
from seqvision.runtime.processes import is_first

CONFIG, ENVIRONMENT, STATUS, METRICS = (
    "config.json",
    "environment.json",
    "status.json",
    "metrics.jsonl",
)


def write_whole(path: Path, text: str) -> None:
    """Writes the file whole or not at all. Of several processes only the first writes."""
    if not is_first():
        return
    temporary = path.with_name(f".{path.name}.incomplete")
    # A file name in the text may hold bytes that are no UTF-8; they go out as they came in.
    temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
    temporary.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Writes the file whole or not at all."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads a file that a run wrote.

    Raises:
      UserError: it is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path.parent}: no run here ({path.name} is missing); train it first, or name"
            " another folder"
        ) from None
    except OSError as error:
        raise UserError(explain_os_error(error, path, "--workdir")) from None
    except ValueError as error:
        raise UserError(
            f"{path}: damaged ({error}); restore it, or train in another --workdir"
        ) from None


@contextlib.contextmanager
def exclusive(workdir: Path) -> Iterator[None]:
    """Makes the workdir and keeps other runs from training in it; the first process does.

    Raises:
      BusyError: another process trains there.
      OSError: the folder cannot be made or written.
    """
    if not is_first():
        yield
        return
    is_new = not workdir.exists()
    workdir.mkdir(parents=True, exist_ok=True)
    lock_path, owner = workdir / ".lock", workdir / ".lock-owner"
    lock = filelock.FileLock(lock_path, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = owner.read_text().strip() if owner.exists() else "another process"
        raise BusyError(
            f"{workdir}: {holder} is training here; wait for it, or choose another --workdir"
        ) from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        if is_new and {path.name for path in workdir.iterdir()} <= {lock_path.name, "checkpoints"}:
            # Nothing came of it, so nothing is left; rmdir refuses a folder that holds something.
            with contextlib.suppress(OSError):
                (workdir / "checkpoints").rmdir()
            with contextlib.suppress(OSError):
                lock_path.unlink()
                workdir.rmdir()
        lock.release()


class Record:
    """Appends metrics to `tasks.metrics.jsonl` and to TensorBoard's event files.

    Args:
      workdir: the run's folder.
      resumed_step: what was recorded behind this step is dropped: it will be recorded again.
    """

    def __init__(self, workdir: Path, resumed_step: int) -> None:
        from tensorboardX import SummaryWriter

        self._workdir = workdir
        kept = [row for row in read_metrics(workdir) if _is_before(row, resumed_step)]
        write_whole(workdir / METRICS, "".join(_line(row) for row in kept))
        self._metrics = (workdir / METRICS).open("a")
        # TensorBoard forgets what an earlier, killed part of this run recorded behind this step.
        self._tensorboard = SummaryWriter(str(workdir / "tensorboard"), purge_step=resumed_step + 1)

    def metrics(self, step: int, split: str, values: Mapping[str, Any], seconds: float) -> None:
        """Records one row; `seconds` is the time this run has taken so far, restarts included."""
        row = {"step": step, "split": split, **values, "seconds": round(seconds, 3)}
        self._metrics.write(_line(row))
        self._metrics.flush()
        self.scalars(step, split, {k: v for k, v in values.items() if isinstance(v, float)})

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Records values for TensorBoard alone."""
        for name, value in values.items():
            self._tensorboard.add_scalar(f"{split}/{name}", value, step)

    def sync(self) -> None:
        """Returns when all rows are on the disk: before the checkpoint that counts on them."""
        os.fsync(self._metrics.fileno())
        self._tensorboard.flush()

    def close(self) -> None:
        self._metrics.close()
        self._tensorboard.close()


class NoRecord(Record):
    """That of the processes that are not the first: they record nothing."""

    def __init__(self) -> None:
        pass

    def metrics(self, *_: Any) -> None:
        pass

    def scalars(self, *_: Any) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def open_record(workdir: Path, resumed_step: int) -> Record:
    """See `Record`."""
    return Record(workdir, resumed_step) if is_first() else NoRecord()


def write_status(workdir: Path, status: str, step: int, **more: Any) -> None:
    """Says how the run stands: running, done, diverged or interrupted."""
    write_json(workdir / STATUS, {"status": status, "step": step, **more})


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The rows of `tasks.metrics.jsonl`; a last line cut short by a kill is left out."""
    path = workdir / METRICS
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def _is_before(row: Mapping[str, Any], resumed_step: int) -> bool:
    # The test split is evaluated after the last checkpoint, so a resumed run does it again.
    return row["step"] <= resumed_step and row["split"] != "test"


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"


def environment(workdir: Path, devices_used: int) -> dict[str, Any]:
    """Versions, devices and the commit of this code; `earlier` holds those before a resume."""
    path = workdir / ENVIRONMENT
    before = read_json(path) if path.exists() else None
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "seqvision": __version__,
        "git": git_commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpus": os.cpu_count(),
        "devices": [
            f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()
        ],
        "devices_used": devices_used,
        "processes": jax.process_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "command": sys.argv,
        "earlier": [] if before is None else [*before.pop("earlier", []), before],
    }


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


def header(environment: Mapping[str, Any], facts: Mapping[str, str]) -> Iterator[str]:
    """The first lines of a run: what runs, where, on what, for how long."""
    versions = " | ".join(f"{name} {v}" for name, v in environment["packages"].items())
    yield f"seqvision {environment['seqvision']} | python {environment['python']} | {versions}"
    devices = environment["devices"]
    yield _fact("devices", f"{len(devices)}: {', '.join(devices)}")
    yield _fact("git", environment["git"] or "not a git checkout")
    for name, text in facts.items():
        yield _fact(name, text)


def _fact(name: str, text: str) -> str:
    return f"{name:<10}{text}"


def named_leaves(params: Any) -> list[tuple[str, Any]]:
    """Each array of a tree with its name, such as `lstm/cell/hf/bias`."""
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]


def parameter_table(params: Any) -> Iterator[str]:
    """Name, shape and size of each array, and the total."""
    rows: list[tuple[str, str, str]] = []
    total = 0
    for name, array in named_leaves(params):
        rows.append((name, " x ".join(map(str, array.shape)), f"{array.size:,}"))
        total += array.size
    rows.append(("total", "", f"{total:,}"))
    yield from aligned([("parameter", "shape", "size"), *rows])


def aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table: columns to the left, the last one to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        left = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
        yield "  " + "  ".join([*left, f"{last:>{widths[-1]}}"])
