"""Checkpoints by orbax: written whole in the background, the newest and the best kept."""

import contextlib
import hashlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqvision.errors import UserError, explain_os_error, first_line, is_disk_full
from seqvision.runtime import processes
from seqvision.training.state import TrainState

# orbax is imported where it is used: a third of a second that explaining a config, or saying again
# how a run ended, need not wait.

LoopFacts = dict[str, Any]
"""What the loop knows besides the state: best step so far, time spent, ..."""


class TornCheckpointError(Exception):
    """A checkpoint on the disk is not what was saved; the message says what is wrong with it."""


class _Best:
    """Keeps one named step: one of orbax's preservation policies."""

    step: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        return [checkpoint.step == self.step for checkpoint in checkpoints]


class Checkpoints:
    """The checkpoints of one workdir, each a folder named by its step.

    Args:
      workdir: the run's folder; they lie in `checkpoints` inside it.
      keep: how many of the newest to keep, besides the best.
      say: called with a line when a checkpoint turns out to be torn.
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

        # What orbax logs is raised too, and told by whoever catches it.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder = workdir.absolute() / "checkpoints"
        self._say = say
        self._read_only = read_only
        self._best = _Best()
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
        """Starts to save; training may go on at once. Waits for an earlier save to finish.

        Raises:
          UserError: this or the earlier save failed: the disk is full, say.
        """
        from orbax.checkpoint import args

        self._best.step = best_step
        contents = {"loop": loop, "sha256": _digest(state)}
        items = args.Composite(state=args.StandardSave(state), contents=args.JsonSave(contents))
        with self._explained():
            self._manager.save(state.num_steps, args=items, force=True)

    def restore_newest(self, abstract: Any = None) -> tuple[Any, LoopFacts] | None:
        """Restores the newest whole checkpoint; None where there is none at all.

        A torn one is named and passed over, and moved aside once an older one is restored.

        Args:
          abstract: see `restore`.

        Raises:
          UserError: there are checkpoints, and all of them are torn; or one is whole, but cannot
            be restored here.
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
        """Restores the state of the best checkpoint; None, saying so, where it cannot be had."""
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
          step: its name.
          abstract: shapes, types and shardings (`state.abstract_state`) of the state to return;
            None takes the state as it was saved, as nested dicts on the first device.

        Raises:
          TornCheckpointError: it is not what was saved.
          UserError: it is, but it belongs to another network, or may not be read.
        """
        try:
            return self._restore(step, abstract)
        except (MemoryError, PermissionError):
            raise
        except Exception as error:  # orbax, tensorstore and json each raise their own.
            if abstract is None:
                raise TornCheckpointError(first_line(error, width=100)) from error
            self.restore(step)  # A torn one ends here; a whole one is of another shape.
            raise UserError(
                f"{self._folder / str(step)}: whole, but not of this network:"
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
        return state, contents["loop"]

    def wait(self) -> None:
        """Returns when the save under way is on the disk.

        Raises:
          UserError: it failed.
        """
        with self._explained():
            self._manager.wait_until_finished()

    def __enter__(self) -> "Checkpoints":
        # What fails in orbax's threads is raised here too; without this each thread also prints
        # a traceback of its own.
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = lambda *_: None
        threading.excepthook = lambda *_: None
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A failed save is raised again at the end; the first time was enough.
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
            if not isinstance(error, OSError) and not is_disk_full(error):
                raise
            raise UserError(explain_os_error(error, self._folder, "--workdir")) from error

    def _read_through(self, step: int) -> None:
        """Finds torn files one by one; orbax, reading all at once, fills the screen with them."""
        import tensorstore

        folder = self._folder / str(step) / "state"
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()
        keys = store.list().result()
        if not keys:
            raise ValueError("it holds no arrays")
        for key in keys:
            store.read(key).result()

    def _move_aside(self, steps: Sequence[int]) -> None:
        if not steps:
            return
        processes.barrier()  # They have read them.
        for step in steps if processes.is_primary() else []:
            aside = self._folder.with_name("torn_checkpoints")
            aside.mkdir(exist_ok=True)
            (self._folder / str(step)).replace(aside / f"{step}-{time.time_ns()}")
        processes.barrier()  # The first has moved them.
        self._manager.reload()


def _digest(state: Any) -> str:
    """SHA-256 of all arrays, in any order: orbax notices a short file, but no flipped bit."""
    leaves = jax.tree.leaves(jax.device_get(state))
    digests = sorted(hashlib.sha256(np.asarray(leaf).tobytes()).digest() for leaf in leaves)
    return hashlib.sha256(b"".join(digests)).hexdigest()
