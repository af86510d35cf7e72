"""What is to be predicted of clips whose features are files of their own.

A class for every frame, several labels or a number lie in the clip's `.npz` file, as `targets` (L,)
or `labels`, or as a table of targets beside it, see `step_tables`. Else the class is the folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqvision.data.files.feature_files import FeatureFile
from seqvision.data.files.paths import natural_key, shown
from seqvision.data.sources.npz_file import NpzFile
from seqvision.data.sources.npz_targets import (
    TARGETS,
    check_steps,
    one_hot_hint,
    read_targets,
    target_kind,
)
from seqvision.data.sources.step_tables import read_step_table, table_path
from seqvision.data.targets import Targets
from seqvision.errors import UserError

NAMES = "class_names"


class ClipFile(NamedTuple):
    """A file of one clip.

    Attributes:
      path: where it lies.
      class_name: its class folder; "" where it lies in none.
      read: what is in it.
    """

    path: Path
    class_name: str
    read: FeatureFile


def targets_of_files(
    root: Path, clips: Sequence[ClipFile], asked: str
) -> tuple[Targets, tuple[str, ...], list[Any]]:
    """What is predicted, the names of the classes, and the label of each clip.

    Args:
      root: the folder of the set.
      clips: all of them.
      asked: see `config.data.target`.

    Raises:
      UserError: targets of some clips alone, of other shapes or values, or classes without folders.
    """
    carried = [{} if asked == "class" else _carried(clip) for clip in clips]
    if not any(TARGETS in one or "labels" in one for one in carried):
        if asked not in ("auto", "class"):
            raise UserError(
                f"{shown(root)}: config.data.target={asked}, and none of its {len(clips)} clips"
                f" has that; save {'targets (L,)' if asked == 'steps' else 'labels'} beside"
                f" features in {shown(clips[0].path.with_suffix('.npz').name)}"
                f"{' (or NAME.csv beside it)' if asked == 'steps' else ''}"
            )
        return _folders(clips)
    file = _as_one_file(root, clips, carried)
    kind = target_kind(file, list(map(_prefix, range(len(clips)))), asked)
    key = TARGETS if kind == "steps" else "labels"
    lacking = [clip.path for clip, one in zip(clips, carried, strict=True) if key not in one]
    if lacking:
        raise UserError(
            f"{shown(lacking[0])}: no {key} in it{' or beside it' if key == TARGETS else ''}, and"
            f" {len(clips) - len(lacking)} of {len(clips)} clips have them; add them, or set"
            " config.data.target=class to learn the class folders"
        )
    if kind == "class":
        first = carried[0]["labels"]
        raise UserError(
            f"{shown(clips[0].path)}: labels is {first.dtype} {first.shape}, which may mean more"
            " than one thing: set config.data.target=number if it is a number, labels if each of"
            " several is 0 or 1, or class to learn the class folders"
        )
    found = read_targets(file, list(map(_prefix, range(len(clips)))), kind)
    labels = [found.labels[_prefix(number)][0] for number in range(len(clips))]
    if kind == "steps":
        labels = [
            check_steps(shown(clip.path), label, len(clip.read.features))
            for clip, label in zip(clips, labels, strict=True)
        ]
    return Targets(kind), found.class_names, labels


def _folders(clips: Sequence[ClipFile]) -> tuple[Targets, tuple[str, ...], list[Any]]:
    for clip in clips:
        if not clip.class_name:
            raise UserError(
                f"{shown(clip.path)}: it has no class: put it into a folder that is named by its"
                " class, such as"
                f" {shown(clip.path.parent / 'CLASS' / clip.path.name)}; or save targets (L,), a"
                " class for each frame, in its .npz file (or target in NAME.csv beside it)"
            )
    names = tuple(sorted({clip.class_name for clip in clips}, key=natural_key))
    numbers = {name: number for number, name in enumerate(names)}
    return Targets(), names, [numbers[clip.class_name] for clip in clips]


def _carried(clip: ClipFile) -> dict[str, np.ndarray]:
    """The clip's `targets`, `labels` and `class_names`, from its file or the table beside it."""
    found = dict(clip.read.carried)
    where, table = shown(clip.path), table_path(clip.path)
    if table.is_file():
        if TARGETS in found:
            raise UserError(
                f"{where}: it has targets, and {shown(table.name)} beside it as well; keep one"
            )
        rows = read_step_table(table).of_frames(len(clip.read.features))
        found[TARGETS] = np.array(rows, np.str_)
    if TARGETS in found and "labels" in found:
        raise UserError(
            f"{where}: it has targets, a class for each frame, and labels as well; keep one"
        )
    for name, num_axes in ((TARGETS, (1,)), ("labels", (0, 1))):
        array = found.get(name)
        if array is not None and array.ndim not in num_axes:
            needed = "0 or 1 for each label, (K,), or a number"
            if name == TARGETS:
                needed = f"a class for each frame, ({len(clip.read.features)},)"
            raise UserError(
                f"{where}: {name} is {array.dtype} {array.shape}; {needed}, is needed"
                f"{one_hot_hint(array) if name == TARGETS else ''}"
            )
    return found


def _prefix(number: int) -> str:
    return f"{number}/"


def _as_one_file(
    root: Path, clips: Sequence[ClipFile], carried: Sequence[dict[str, np.ndarray]]
) -> NpzFile:
    """The targets of all clips as arrays of one file, each clip a split of one example."""
    arrays: dict[str, np.ndarray] = {}
    names: dict[str, str] = {}
    for number, (clip, found) in enumerate(zip(clips, carried, strict=True)):
        for name in found.keys() - {NAMES}:
            key = f"{_prefix(number)}{name}"
            arrays[key] = found[name][None]
            names[key] = f"{clip.path.relative_to(root)}: {name}"
        # Its labels are no classes of frames, whatever their number.
        arrays[f"{_prefix(number)}images"] = np.zeros((1, 0), np.uint8)
        arrays.setdefault(f"{_prefix(number)}labels", np.zeros(1, np.int64))
        if NAMES in found and not np.array_equal(
            found[NAMES], arrays.setdefault(NAMES, found[NAMES])
        ):
            raise UserError(
                f"{shown(clip.path)}: its {NAMES} are other ones than those of"
                f" {shown(clips[0].path)}; save the same in each, or in none"
            )
    return NpzFile(root, arrays.keys(), arrays, own_names=names)
