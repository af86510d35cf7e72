"""Checkpoints, by orbax: saved in the background; the newest and the best are kept."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from seqvision.errors import UserError, explain_os_error, is_disk_full
from seqvision.runs.files import gone
from seqvision.runs.saved_states import (
    LoopFacts,
    SavedStates,
    TornCheckpointError,
    check_path,
    digest,
)
from seqvision.runtime import processes
from seqvision.training.state import TrainState

# orbax is imported where it is used: explaining a config and repeating a result do without it.


class _Best:
    """A preservation policy of orbax that keeps one step."""

    step: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        return [checkpoint.step == self.step for checkpoint in checkpoints]


class Checkpoints(SavedStates):
    """The checkpoints of a run that trains.

    Args:
      workdir: the run's folder; the checkpoints are in its folder `checkpoints`.
      keep: number of the newest to keep, besides the best.
      say: called with a line for each torn checkpoint.
    """

    def __init__(self, workdir: Path, keep: int = 1, say: Callable[[str], None] = print) -> None:
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, LatestN

        super().__init__(workdir, say)
        check_path(workdir)
        # What orbax logs, it also raises.
        for name in ("absl", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._best = _Best()
        self._saved: int | None = None
        self._manager = ocp.CheckpointManager(
            self._folder,
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "contents": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                create=True,
                cleanup_tmp_directories=True,
                preservation_policy=AnyPreservationPolicy([LatestN(keep), self._best]),
            ),
        )

    @property
    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first, and those that are being saved."""
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
        contents = {"loop": loop, "sha256": digest(jax.tree.leaves(jax.device_get(state)))}
        items = args.Composite(state=args.StandardSave(state), contents=args.JsonSave(contents))
        with self._explained():
            self._manager.save(state.num_steps, args=items, force=True)
        self._saved = state.num_steps

    def restore(self, step: int, abstract: Any = None) -> tuple[Any, LoopFacts]:
        """See `SavedStates.restore`; what is torn for one process is torn for all (collective)."""
        torn, restored = None, None
        try:
            restored = super().restore(step, abstract)
        except TornCheckpointError as error:
            torn = error
        if processes.all_reduce_max(int(torn is not None)):
            raise torn or TornCheckpointError("another process cannot read it")
        assert restored is not None
        return restored

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

    def _set_aside(self, torn: Sequence[int]) -> None:
        """Moves them out of the way of the steps that are saved again."""
        if not torn:
            return
        processes.barrier()  # All processes have read the torn checkpoints.
        for step in torn if processes.is_primary() else []:
            aside = self._folder.with_name("torn_checkpoints")
            aside.mkdir(exist_ok=True)
            (self._folder / str(step)).replace(aside / f"{step}-{time.time_ns()}")
        processes.barrier()  # The primary process has moved them.
        self._manager.reload()
