"""Labels in `.npz` files: a class for each example, or other targets."""

from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np

from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_file import NpzFile
from seqvision.data.sources.npz_targets import Found, read_targets, target_kind
from seqvision.data.targets import Targets
from seqvision.errors import UserError

_NUMBERS = "; set config.data.target=number if these are numbers to be predicted"


def read_labels(
    file: NpzFile, prefixes: Collection[str], loading: Loading
) -> tuple[Targets, Found]:
    """What the labels of a file are, and those of each prefix.

    Raises:
      UserError: an array is missing, or has another shape, type or values.
    """
    targets = Targets(target_kind(file, prefixes, loading.target))
    if targets.kind != "class":
        return targets, read_targets(file, list(prefixes), targets.kind)
    return targets, _classes(file, prefixes, loading.say)


def _classes(file: NpzFile, prefixes: Iterable[str], say: Callable[[str], None]) -> Found:
    """A class for each example."""
    labels = {prefix: _labels(file, prefix) for prefix in prefixes}
    first = _first_label(file, labels)
    if first:
        labels = {prefix: array.astype(np.int64) - first for prefix, array in labels.items()}
        highest = max(int(array.max()) for array in labels.values() if len(array)) + first
        say(f"{shown(file.path)}: labels begin at 1: taken as classes 1 to {highest}")
    names = _class_names(file, labels, first)
    return Found(names, {p: _numbered(file, p, array, names) for p, array in labels.items()})


def _labels(file: NpzFile, prefix: str) -> np.ndarray:
    """Labels (N,), whole numbers or strings."""
    key = f"{prefix}labels"
    labels = file.arrays[key]
    where = f"{shown(file.path)}: {key}"
    if labels.ndim == 2 and labels.shape[1] > 1:
        one_hot = labels.dtype.kind in "biuf" and bool(
            ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
        )
        hint = (
            "these are one-hot rows: save labels.argmax(axis=1), or set config.data.target=labels"
            " if others may have several"
            if one_hot
            else "save one column; or, for several labels at once (multi-label), 0 or 1 in each"
        )
        raise UserError(
            f"{where} has the shape {labels.shape}, several labels for an example; one class for"
            f" each is needed: {hint}"
        )
    if labels.ndim not in (1, 2):
        raise UserError(f"{where} has the shape {labels.shape}; (N,) or (N, 1) is needed")
    if labels.dtype.kind not in "biuUS":
        raise UserError(
            f"{where} is {labels.dtype}; whole numbers from 0 to K - 1, or strings, are needed"
            f"{_NUMBERS if labels.dtype.kind == 'f' else ''}"
        )
    return labels.reshape(-1)


def _first_label(file: NpzFile, labels: dict[str, np.ndarray]) -> int:
    """1 where the labels of all splits are 1 to K, of K names if there are names; else 0."""
    arrays = [array for array in labels.values() if len(array)]
    if not arrays or any(array.dtype.kind not in "iu" for array in arrays):
        return 0
    lowest, highest = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
    names = file.arrays.get("class_names")
    fits = highest <= sum(map(len, arrays)) if names is None else np.shape(names) == (highest,)
    return 1 if lowest == 1 < highest and fits else 0


def _class_names(file: NpzFile, labels: dict[str, np.ndarray], first: int) -> tuple[str, ...]:
    where = f"{shown(file.path)}: class_names"
    kinds = {"strings" if array.dtype.kind in "US" else "numbers" for array in labels.values()}
    if len(kinds) > 1:
        raise UserError(f"{shown(file.path)}: some labels are numbers and some strings; save one")
    if "class_names" in file.keys:
        array = file.arrays["class_names"]
        names = tuple(_texts(where, array)) if array.ndim == 1 else ()
        if not names or len(set(names)) < len(names):
            raise UserError(
                f"{where} is {array.dtype} {array.shape}; a list of different names is needed"
            )
        return names
    if kinds == {"strings"}:
        used = {
            name
            for prefix, array in labels.items()
            for name in _texts(f"{shown(file.path)}: {prefix}labels", array)
        }
        return tuple(sorted(used, key=natural_key))
    highest = max((int(array.max()) for array in labels.values() if len(array)), default=-1)
    count = sum(len(array) for array in labels.values())
    if highest >= count:  # Before so many names are made.
        raise UserError(
            f"{shown(file.path)}: a label is {highest}, with {count} examples in all; labels are"
            " whole numbers from 0 to K - 1"
        )
    return tuple(str(label + first) for label in range(highest + 1))


def _numbered(
    file: NpzFile, prefix: str, labels: np.ndarray, class_names: tuple[str, ...]
) -> list[int]:
    where = f"{shown(file.path)}: {prefix}labels"
    if labels.dtype.kind in "US":
        numbers = {name: number for number, name in enumerate(class_names)}
        texts = list(_texts(where, labels))
        for text in texts:
            if text not in numbers:
                raise UserError(
                    f"{where} has '{shown(text)}', which class_names lacks; it has"
                    f" {few([shown(name) for name in class_names])}"
                )
        return [numbers[text] for text in texts]
    for label in (int(labels.min()), int(labels.max())) if len(labels) else ():
        if label < 0:
            raise UserError(f"{where} has {label}; labels are whole numbers from 0 to K - 1")
        if label >= len(class_names):
            raise UserError(
                f"{where} has {label}, and class_names has {len(class_names)} names; labels are"
                " whole numbers from 0 to K - 1, the places of their names"
            )
    return [int(label) for label in labels]


def _texts(where: str, array: np.ndarray) -> Iterator[str]:
    for value in array.tolist():
        try:
            text = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError as error:
            raise UserError(f"{where}: {value!r} is not UTF-8; save Unicode strings") from error
        if not isinstance(text, str) or not text:
            raise UserError(f"{where} has {text!r}; names are strings, not empty")
        yield text
