"""Targets in `.npz` files: a class for each frame, several labels at once, a number."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.sources.npz_file import NpzFile
from seqvision.data.targets import UNKNOWN
from seqvision.errors import UserError

TARGETS = "targets"


class Found(NamedTuple):
    """What the labels of a file are.

    Attributes:
      class_names: of the classes or labels; the name of the number.
      labels: by prefix, one for each example: (t,) classes of its frames, (K,) labels, a number.
    """

    class_names: tuple[str, ...]
    labels: dict[str, list[Any]]


def target_kind(file: NpzFile, prefixes: Iterable[str], asked: str) -> str:
    """What is to be predicted: see `data.targets.Targets`.

    Args:
      file: with `labels`, or `targets` where a class for each frame lies beside them.
      prefixes: of its splits.
      asked: `auto`, or what the user says that it is.
    """
    if asked != "auto":
        return asked
    for prefix in prefixes:
        if f"{prefix}{TARGETS}" in file.arrays:
            return "steps"
        labels, images = file.arrays[f"{prefix}labels"], file.arrays[f"{prefix}images"]
        named_steps = file.own_names.get(f"{prefix}labels", "").lower().find("target") >= 0
        is_row = labels.ndim == 1 and labels.shape != images.shape[:1]
        if named_steps and is_row and f"{prefix}lengths" in file.arrays:
            return "steps"
        if labels.ndim == 2 and labels.shape[1] > 1:
            of_frames = images.ndim >= 4 and images.shape[1] == labels.shape[1]
            if named_steps and (of_frames or (images.ndim >= 4 and not _is_binary(labels))):
                return "steps"
            if _is_binary(labels) and not _is_one_hot(labels):
                return "labels"
            if of_frames and labels.dtype.kind in "iuUS":
                raise UserError(
                    f"{_where(file, prefix, 'labels')} has the shape {labels.shape}, as many as"
                    " frames: if it is a class for each frame, name it"
                    f" {prefix}{TARGETS} or set config.data.target=steps"
                )
        elif labels.dtype.kind == "f" and labels.size:
            finite = labels[np.isfinite(labels)]
            if (finite != np.round(finite)).any():
                return "number"
    return "class"


def read_targets(file: NpzFile, prefixes: list[str], kind: str) -> Found:
    """The labels of all splits as `kind` says.

    Raises:
      UserError: an array of another shape, type or values.
    """
    arrays = {prefix: _array(file, prefix, kind) for prefix in prefixes}
    if kind == "number":
        return Found(("value",), {p: _numbers(file, p, a) for p, a in arrays.items()})
    if kind == "labels":
        return _labels(file, arrays)
    return _steps(file, arrays)


def check_steps(clip: str, classes: np.ndarray, num_frames: int) -> np.ndarray:
    """The classes of the frames that a clip has.

    Args:
      clip: the words for it in messages.

    Raises:
      UserError: fewer, or one of a frame that there is not.
    """
    if len(classes) < num_frames:
        raise UserError(
            f"{clip} has {len(classes)} targets and {num_frames} frames; one"
            f" for each frame is needed, {UNKNOWN} where it is unknown"
        )
    beyond = np.flatnonzero(classes[num_frames:] != UNKNOWN)
    if len(beyond):
        step = num_frames + int(beyond[0])
        raise UserError(
            f"{clip} has the target {classes[step]} at frame {step}, and its"
            f" frames are 0 to {num_frames - 1}; write {UNKNOWN} behind its end, or give it its"
            " frames (lengths)"
        )
    return classes[:num_frames]


def _where(file: NpzFile, prefix: str, name: str) -> str:
    key = f"{prefix}{name}"
    return f"{shown(file.path)}: {shown(file.own_names.get(key, key))}"


def _array(file: NpzFile, prefix: str, kind: str) -> np.ndarray:
    name = TARGETS if kind == "steps" and f"{prefix}{TARGETS}" in file.arrays else "labels"
    file.check_has(f"{prefix}{name}")
    return file.arrays[f"{prefix}{name}"]


def _numbers(file: NpzFile, prefix: str, array: np.ndarray) -> list[float]:
    where = _where(file, prefix, "labels")
    if array.dtype.kind not in "biuf" or array.size != len(array):
        raise UserError(
            f"{where} is {array.dtype} {array.shape}; a number for each example, ({len(array)},),"
            " is needed, NaN where it is unknown"
        )
    numbers = array.reshape(-1).astype(np.float64)
    wrong = np.flatnonzero(np.isinf(numbers) | (np.abs(numbers) > 1e30))
    if len(wrong):
        # A file of one clip holds one number.
        which = "" if f"{prefix}labels" in file.own_names else f": that of example {wrong[0]}"
        raise UserError(
            f"{where}{which} is {numbers[wrong[0]]:g}; finite numbers of"
            " moderate size are needed, NaN where one is unknown"
        )
    return numbers.tolist()


def _labels(file: NpzFile, arrays: dict[str, np.ndarray]) -> Found:
    width = next(iter(arrays.values())).shape[-1:]
    for prefix, array in arrays.items():
        where = _where(file, prefix, "labels")
        if array.ndim != 2 or array.shape[1:] != width:
            raise UserError(
                f"{where} is {array.dtype} {array.shape}; 0 or 1 for each example and label,"
                " (N, K), is needed, with the same K in all"
            )
        if not _is_binary(array):
            raise UserError(
                f"{where} has other values than 0 and 1 (and {UNKNOWN} or NaN where a label is"
                " unknown); save 1 where an example has the label"
            )
    names = _names(file, int(width[0]))
    whole = {p: np.where(array >= 0, array, UNKNOWN) for p, array in arrays.items()}
    return Found(names, {p: list(array.astype(np.int32)) for p, array in whole.items()})


def _names(file: NpzFile, count: int) -> tuple[str, ...]:
    if "class_names" not in file.keys:
        return tuple(map(str, range(count)))
    array = file.arrays["class_names"]
    names = tuple(map(_text, array.tolist())) if array.ndim == 1 else ()
    if len(set(names)) != count:
        raise UserError(
            f"{shown(file.path)}: class_names is {array.dtype} {array.shape}, and there are {count}"
            " labels; a list of as many different names is needed"
        )
    return names


def _steps(file: NpzFile, arrays: dict[str, np.ndarray]) -> Found:
    arrays = {prefix: _by_example(file, prefix, array) for prefix, array in arrays.items()}
    texts = {array.dtype.kind in "US" for array in arrays.values()}
    if len(texts) > 1:
        raise UserError(f"{shown(file.path)}: some targets are numbers and some text; save one")
    if texts == {True}:
        lists = {p: [[_text(v) for v in row] for row in a.tolist()] for p, a in arrays.items()}
        names = step_names(value for rows in lists.values() for row in rows for value in row)
        if "class_names" in file.keys:
            names = tuple(map(_text, file.arrays["class_names"].tolist()))
        numbers = {name: number for number, name in enumerate(names)} | {"": UNKNOWN}
        return Found(
            names, {p: list(_numbered(file, p, rows, numbers)) for p, rows in lists.items()}
        )
    whole = {p: _whole(file, p, array) for p, array in arrays.items()}
    highest = max((int(array.max()) for array in whole.values() if array.size), default=-1)
    if highest >= sum(array.size for array in whole.values()):  # Before so many names are made.
        raise UserError(f"{shown(file.path)}: a target is {highest}; classes count from 0 to K - 1")
    count = highest + 1
    if "class_names" in file.keys:
        count = max(count, len(file.arrays["class_names"]))
    return Found(_names(file, count), {p: list(array) for p, array in whole.items()})


def one_hot_hint(targets: np.ndarray) -> str:
    """What to do about targets that have a row for each frame, 1 at its class; else ""."""
    if targets.ndim < 2 or targets.dtype.kind not in "biuf":
        return ""
    if not _is_one_hot(targets.reshape(-1, targets.shape[-1])):
        return ""
    return ": these are one-hot rows: save targets.argmax(axis=-1)"


def step_names(values: Iterable[str]) -> tuple[str, ...]:
    """The classes that are named, in natural order; "" is unknown."""
    return tuple(sorted({*values} - {""}, key=natural_key))


def _by_example(file: NpzFile, prefix: str, array: np.ndarray) -> np.ndarray:
    """(N, L): as it is, or cut from all frames one clip behind the other."""
    if array.ndim == 2:
        return array
    where, lengths = _where(file, prefix, TARGETS), file.arrays.get(f"{prefix}lengths")
    lengths = None if lengths is None else lengths.reshape(-1)
    if array.ndim != 1 or lengths is None or lengths.dtype.kind not in "iu":
        raise UserError(
            f"{where} is {array.dtype} {array.shape}; a class for each frame, (N, L), is needed,"
            f" {UNKNOWN} where it is unknown (or, with lengths, the frames of all clips in a row)"
            f"{one_hot_hint(array)}"
        )
    if (lengths < 1).any() or int(lengths.sum()) != len(array):
        raise UserError(
            f"{where} has {len(array)} targets in a row, and the {prefix}lengths are"
            f" {int(lengths.sum())} frames together; one for each frame is needed"
        )
    unknown: Any = "" if array.dtype.kind in "US" else UNKNOWN
    kind = array.dtype if array.dtype.kind != "u" else np.int64
    rows = np.full((len(lengths), int(lengths.max())), unknown, kind)
    ends = np.cumsum(lengths)
    for row, length, end in zip(rows, lengths.tolist(), ends.tolist(), strict=True):
        row[:length] = array[end - length : end]
    return rows


def _whole(file: NpzFile, prefix: str, array: np.ndarray) -> np.ndarray:
    where = _where(file, prefix, TARGETS)
    found = np.where(np.isnan(array), UNKNOWN, array) if array.dtype.kind == "f" else array
    if found.dtype.kind not in "biuf" or (found != np.round(found)).any():
        raise UserError(
            f"{where} is {array.dtype}; classes are whole numbers from 0 to K - 1 or text,"
            f" {UNKNOWN} or empty where one is unknown"
        )
    found = found.astype(np.int64)
    if found.size and int(found.min()) < UNKNOWN:
        raise UserError(
            f"{where} has {int(found.min())}; classes are 0 to K - 1, {UNKNOWN} unknown"
        )
    return found


def _numbered(
    file: NpzFile, prefix: str, rows: list[list[str]], numbers: dict[str, int]
) -> Iterator[np.ndarray]:
    for row in rows:
        strange = [value for value in row if value not in numbers]
        if strange:
            raise UserError(
                f"{_where(file, prefix, TARGETS)} has '{shown(strange[0])}', which class_names"
                f" lacks; it has {few([shown(name) for name in numbers if name])}"
            )
        yield np.array([numbers[value] for value in row], np.int64)


def _is_binary(array: np.ndarray) -> bool:
    if array.dtype.kind not in "biuf":
        return False
    known = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return bool(np.isin(known, (0, 1, UNKNOWN)).all())


def _is_one_hot(array: np.ndarray) -> bool:
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
