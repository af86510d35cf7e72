"""The checkpoints of a run, read again.

Without orbax, which wrote them: to import it takes a fifth of a second and 25 MiB.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from seqvision.errors import UserError, explain_os_error, first_line
from seqvision.runs.records import NUMBER, mismatch
from seqvision.runtime.regular_file import regular

# tensorstore is imported where it is used: explaining a config and repeating a result do without.

Arrays = dict[tuple[str, ...], np.ndarray]
"""The arrays of a state by their paths in it."""

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


def check_path(workdir: Path, is_read_only: bool = False) -> None:
    """Refuses a workdir in whose path orbax 0.12 loses the arrays that it writes.

    It gives the path to `glob` when it saves, and tensorstore takes a backslash for a separator.

    Raises:
      UserError: the path has a backslash or, where checkpoints are written, a pair of brackets.
    """
    path = workdir.resolve().as_posix()  # As it is given to them.
    if "\\" in path or (not is_read_only and re.search(r"\[[^/]+\]", path)):
        raise UserError(
            f"--workdir: '{path}': checkpoints cannot be kept where a path has a pair of [ and ]"
            " or a \\; choose another folder, or rename this one"
        )


class SavedStates:
    """The checkpoints of one run, each a folder named by its step; nothing is written.

    Args:
      workdir: the run's folder; the checkpoints are in its folder `checkpoints`.
      say: called with a line for each torn checkpoint.
    """

    def __init__(self, workdir: Path, say: Callable[[str], None] = print) -> None:
        check_path(workdir, is_read_only=True)
        # tensorstore takes no `..` in a path.
        self._folder = workdir.resolve() / "checkpoints"
        self._say = say

    @property
    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        try:
            folders = list(self._folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(explain_os_error(error, self._folder, "--workdir")) from error
        # A folder that is being written has another name.
        names = (folder.name for folder in folders if folder.is_dir())
        return sorted(int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name))

    def restore_newest(self, abstract: Any = None) -> tuple[Any, LoopFacts] | None:
        """Restores the newest intact checkpoint; None where there is none.

        Torn ones are reported and skipped.

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
                if self.steps != steps:  # A training goes on, and has deleted what was read.
                    return self.restore_newest(abstract)
                before = "" if step == steps[0] else "; falling back to the one before"
                self._say(f"checkpoint {step} is torn ({error}){before}")
                torn.append(step)
                continue
            self._set_aside(torn)
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
            `training.replicas.Replicas.abstract_state`; None returns nested dicts of numpy arrays.

        Raises:
          TornCheckpointError: its files are damaged.
          UserError: it may not be read, or is intact, but from a different network.
        """
        folder = self._folder / str(step)
        try:
            arrays, loop = _read(folder)
        except MemoryError:
            raise
        except Exception as error:  # tensorstore and json each raise their own.
            if isinstance(error, PermissionError) or "PERMISSION_DENIED" in str(error):
                denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
                raise UserError(explain_os_error(denied, folder, "--workdir")) from error
            raise TornCheckpointError(first_line(error, width=100)) from error
        if abstract is None:
            return traverse_util.unflatten_dict(arrays), loop
        problem = _difference(arrays, abstract)
        if problem:
            raise UserError(
                f"{folder}: intact, but from a different network: {problem}; use the config and the"
                " data it was trained with"
            )
        return _placed(arrays, abstract), loop

    def _set_aside(self, torn: Sequence[int]) -> None:
        """Called with the torn checkpoints once an older one is restored; reading moves nothing."""


def digest(arrays: Iterable[Any]) -> str:
    """SHA-256 of all arrays in any order: orbax detects a short file, but no flipped bit."""
    digests = sorted(hashlib.sha256(np.asarray(array).tobytes()).digest() for array in arrays)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _read(folder: Path) -> tuple[Arrays, LoopFacts]:
    """Reads what `checkpoint.Checkpoints` has written, and checks it."""
    for file in folder.rglob("*"):
        regular(file)
    contents = json.loads((folder / "contents" / "metadata").read_bytes().decode())
    arrays = _read_arrays(folder / "state")
    if digest(arrays.values()) != contents["sha256"]:
        raise ValueError("its arrays do not have the checksum they were saved with")
    problem = mismatch(contents["loop"], _LOOP)
    if problem:
        raise ValueError(problem)
    return arrays, contents["loop"]


def _read_arrays(folder: Path) -> Arrays:
    """All arrays of a folder that orbax has written: zarr arrays in one OCDBT store."""
    import tensorstore

    metadata = json.loads((folder / "_METADATA").read_bytes().decode())
    driver = "zarr3" if metadata["use_zarr3"] else "zarr"
    # A path, not a URL, in which `#` and `%` would have a meaning.
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
    reads = {}
    for entry in metadata["tree_metadata"].values():
        if entry["value_metadata"]["value_type"] != "jax.Array":
            continue  # None, say; an array that were left out would change the checksum.
        path = tuple(part["key"] for part in entry["key_metadata"])
        array = {"driver": driver, "kvstore": {**store, "path": ".".join(path) + "/"}}
        reads[path] = tensorstore.open(array, open=True).result().read()
    if not reads:
        raise ValueError("it holds no arrays")
    return {path: read.result() for path, read in reads.items()}


def _path(keys: Any) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in keys)


def _difference(arrays: Arrays, abstract: Any) -> str:
    """Where the arrays are not those of a state, if anywhere."""
    leaves = jax.tree_util.tree_leaves_with_path(abstract)
    wanted = {_path(keys): f"{leaf.dtype}{list(leaf.shape)}" for keys, leaf in leaves}
    found = {path: f"{array.dtype}{list(array.shape)}" for path, array in arrays.items()}
    for path in sorted(wanted.keys() | found.keys()):
        here, there = wanted.get(path, "nothing"), found.get(path, "nothing")
        if here != there:
            return f"{'/'.join(path)} is {there} there and {here} here"
    return ""


def _placed(arrays: Arrays, abstract: Any) -> Any:
    """The arrays as the state that `abstract` describes, on its devices."""

    def place(keys: Any, leaf: Any) -> jax.Array:
        array = arrays[_path(keys)]
        return jax.make_array_from_callback(array.shape, leaf.sharding, array.__getitem__)

    return jax.tree_util.tree_map_with_path(place, abstract)
