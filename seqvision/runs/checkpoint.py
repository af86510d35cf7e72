"""Checkpoints, by orbax: saved in the background; the newest and the best are kept."""

import contextlib
import hashlib
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqvision.errors import UserError, explain_os_error, first_line, is_disk_full
from seqvision.runs.files import gone
from seqvision.runs.records import NUMBER, mismatch
from seqvision.runtime import processes
from seqvision.runtime.regular_file import regular
from seqvision.training.state import TrainState

# orbax is imported where it is used: explaining a config and repeating a result do without it, a
# third of a second faster.

LoopFacts = dict[str, Any]
"""What the training loop saves beside the state: best step so far, time spent, ..."""


_NOTHING = type(None)
_LOOP = {
    "seconds": NUMBER,
    "best_step?": (int, _NOTHING),
    "best_score?": (*NUMBER, _NOTHING),
    "evaluations_since_best?": int,
}


class TornCheckpointError(Exception):
    """The files of a checkpoint are damaged; the message is the reason."""


def check_path(workdir: Path, read_only: bool = False) -> None:
    """Refuses a workdir in whose path orbax 0.12 loses the arrays that it writes.

    It gives the path to `glob` when it saves, and tensorstore takes a backslash for a separator.

    Raises:
      UserError: the path has a backslash or, where checkpoints are written, a pair of brackets.
    """
    path = workdir.absolute().as_posix()
    if "\\" in path or (not read_only and re.search(r"\[[^/]+\]", path)):
        raise UserError(
            f"--workdir: '{path}': checkpoints cannot be kept where a path has a pair of [ and ]"
            " or a \\; choose another folder, or rename this one"
        )


class _Best:
    """A preservation policy of orbax that keeps one step."""

    step: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        return [checkpoint.step == self.step for checkpoint in checkpoints]


class Checkpoints:
    """The checkpoints of one run, each a folder named by its step.

    Args:
      workdir: the run's folder; the checkpoints are in its folder `checkpoints`.
      keep: number of the newest to keep, besides the best.
      say: called with a line for each torn checkpoint.
      read_only: neither write nor move anything.
    """

    def __init__(
        self,
        workdir: Path,
        keep: int = 1,
        say: Callable[[str], None] = print,
        read_only: bool = False,
    ) -> None:
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, LatestN

        check_path(workdir, read_only)
        # What orbax logs, it also raises.
        for name in ("absl", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._folder = workdir.absolute() / "checkpoints"
        self._say = say
        self._read_only = read_only
        self._best = _Best()
        self._saved: int | None = None
        self._manager = ocp.CheckpointManager(
            self._folder,
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "contents": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                create=not read_only,
                read_only=read_only,
                cleanup_tmp_directories=not read_only,
                preservation_policy=AnyPreservationPolicy([LatestN(keep), self._best]),
            ),
        )

    @property
    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, loop: LoopFacts, best_step: int | None) -> None:
        """Starts to save in the background, after an earlier save has finished.

        Args:
          state: saved under its own step.
          loop: facts of the training loop, saved with it.
          best_step: the step of the best checkpoint, which is kept.

        Raises:
          UserError: this or the earlier save failed, for example because the disk is full.
        """
        from orbax.checkpoint import args

        self._best.step = best_step
        contents = {"loop": loop, "sha256": _digest(state)}
        items = args.Composite(state=args.StandardSave(state), contents=args.JsonSave(contents))
        with self._explained():
            self._manager.save(state.num_steps, args=items, force=True)
        self._saved = state.num_steps

    def restore_newest(self, abstract: Any = None) -> tuple[Any, LoopFacts] | None:
        """Restores the newest intact checkpoint; None where there is none.

        Torn ones are reported and skipped, and moved aside once an older one is restored.

        Args:
          abstract: see `restore`.

        Raises:
          UserError: all checkpoints are torn, or one is from a different network.
        """
        steps, torn = self.steps, []
        for step in reversed(steps):
            try:
                restored = self.restore(step, abstract)
            except TornCheckpointError as error:
                self._say(f"checkpoint {step} is torn ({error}); falling back to the one before")
                torn.append(step)
                continue
            if not self._read_only:
                self._move_aside(torn)
            return restored
        if steps:
            raise UserError(
                f"{self._folder}: none of its checkpoints can be read; delete the folder to train"
                " afresh, or choose another --workdir"
            )
        return None

    def restore_best(self, step: int | None, abstract: Any = None) -> Any | None:
        """Restores the state of the best checkpoint; None, with a line, where it cannot be read."""
        if step is None:
            return None
        try:
            if step in self.steps:
                return self.restore(step, abstract)[0]
            reason = "it is gone"
        except TornCheckpointError as error:
            reason = f"it is torn: {error}"
        self._say(f"the best checkpoint, of step {step}, is not used ({reason})")
        return None

    def restore(self, step: int, abstract: Any = None) -> tuple[Any, LoopFacts]:
        """Restores one checkpoint.

        Args:
          step: of the checkpoint.
          abstract: shapes, types and shardings of the state to return, see
            `training.replicas.Replicas.abstract_state`; None returns nested dicts on the first
            device.

        Raises:
          TornCheckpointError: its files are damaged.
          UserError: it is intact, but from a different network.
        """
        try:
            return self._restore(step, abstract)
        except (MemoryError, PermissionError):
            raise
        except Exception as error:  # orbax, tensorstore and json each raise their own.
            if abstract is None:
                raise TornCheckpointError(first_line(error, width=100)) from error
            self.restore(step)  # Raises for a torn one; an intact one has other shapes.
            raise UserError(
                f"{self._folder / str(step)}: intact, but from a different network:"
                f" {first_line(error)}; use the config and the data it was trained with"
            ) from error

    def _restore(self, step: int, abstract: Any) -> tuple[Any, LoopFacts]:
        from orbax.checkpoint import args

        self._read_through(step)
        if abstract is None:
            device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            abstract = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
                dict(self._manager.item_metadata(step)["state"]),
            )
        restored = self._manager.restore(
            step,
            args=args.Composite(state=args.StandardRestore(abstract), contents=args.JsonRestore()),
        )
        state, contents = restored["state"], restored["contents"]
        if _digest(state) != contents["sha256"]:
            raise ValueError("its arrays do not have the checksum they were saved with")
        problem = mismatch(contents["loop"], _LOOP)
        if problem:
            raise ValueError(problem)
        return state, contents["loop"]

    def wait(self) -> None:
        """Waits until the save in progress is on the disk.

        Raises:
          UserError: it failed, or its folder was deleted meanwhile.
        """
        with self._explained():
            self._manager.wait_until_finished()
        # Other hosts may see a new folder later.
        saved = self._saved if processes.is_primary() else None
        if saved is not None and not (self._folder / str(saved)).is_dir():
            raise gone(self._folder.parent, f"checkpoint {self._saved}")

    def __enter__(self) -> "Checkpoints":
        # Errors in orbax's threads are raised in this thread too; the threads would also print a
        # traceback each.
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = lambda *_: None
        threading.excepthook = lambda *_: None
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A failed save raises again at the end; it was reported the first time.
        try:
            with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
                self._manager.close()
        finally:
            sys.excepthook, threading.excepthook = self._hooks

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # tensorstore quotes the operating system in its own errors.
            if not is_disk_full(error):
                if not self._folder.is_dir():
                    raise gone(self._folder.parent, "a checkpoint that was being saved") from error
                if not isinstance(error, OSError):
                    raise
            raise UserError(explain_os_error(error, self._folder, "--workdir")) from error

    def _read_through(self, step: int) -> None:
        """Reads the files one by one, up to the first torn one: orbax would print all of them."""
        import tensorstore

        for file in (self._folder / str(step)).rglob("*"):
            regular(file)
        folder = self._folder / str(step) / "state"
        # Of these, orbax prints tracebacks from its threads.
        for file in (folder / "array_metadatas").glob("*"):
            json.loads(file.read_bytes().decode())
        # A path, not a URL, in which `#` and `%` would have a meaning.
        files = {"driver": "file", "path": f"{folder}/"}
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": files}).result()
        keys = store.list().result()
        if not keys:
            raise ValueError("it holds no arrays")
        for key in keys:
            store.read(key).result()

    def _move_aside(self, steps: Sequence[int]) -> None:
        if not steps:
            return
        processes.barrier()  # All processes have read the torn checkpoints.
        for step in steps if processes.is_primary() else []:
            aside = self._folder.with_name("torn_checkpoints")
            aside.mkdir(exist_ok=True)
            (self._folder / str(step)).replace(aside / f"{step}-{time.time_ns()}")
        processes.barrier()  # The primary process has moved them.
        self._manager.reload()


def _digest(state: Any) -> str:
    """SHA-256 of all arrays in any order: orbax detects a short file, but no flipped bit."""
    leaves = jax.tree.leaves(jax.device_get(state))
    digests = sorted(hashlib.sha256(np.asarray(leaf).tobytes()).digest() for leaf in leaves)
    return hashlib.sha256(b"".join(digests)).hexdigest()
