"""The user's own data set from one `.npz` file."""

import dataclasses
import difflib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.data.dataset import Dataset
from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.files.tones import Tones
from seqvision.data.sources.array_splits import places_of, tones_of_splits
from seqvision.data.sources.array_values import reader, shape_in_channels
from seqvision.data.sources.examples import Example, fit_known, known_shape, make_dataset
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_file import NpzFile, example_frames, read_npz
from seqvision.data.sources.npz_targets import Found, check_steps, read_targets, target_kind
from seqvision.data.sources.scan_cache import load_json, save_json, scan_path
from seqvision.data.targets import Targets
from seqvision.errors import UserError

# MedMNIST's names, and the long one.
_PREFIXES = {"train_": "train", "val_": "validation", "validation_": "validation", "test_": "test"}
_ARRAYS = ("images", "labels", "lengths")
_OPTIONAL = ("targets", "groups")
_IMAGES = tuple(f"{prefix}images" for prefix in ("", *_PREFIXES))
_KNOWN = ("class_names", *(p + a for p in ("", *_PREFIXES) for a in (*_ARRAYS, *_OPTIONAL)))

_NUMBERS = "; set config.data.target=number if these are numbers to be predicted"


def load_npz(path: Path, loading: Loading) -> Dataset:
    """Loads images or clips from a `.npz` file.

    It holds `images` and `labels`, or `train_images`, `train_labels` and the same of `val` (or
    `validation`) and `test`; optionally `lengths` (`train_lengths`, ...) of clips, `groups` (see
    `groups`) and `class_names`. Other targets than classes: see `npz_targets`. Values of more than
    8 bits are brought to bytes by one scale for the whole set, over its training split. Frames
    after a clip's length become 0. A set that is streamed is read from the file by a memory map.

    Returns:
      Images (N, height, width, channels) or clips (N, T, height, width, channels) as uint8, in the
      file's order.

    Raises:
      UserError: missing or damaged file, other keys, shapes or types; arrays too large for memory
        and compressed: one line.
    """
    limit = loading.resident_bytes
    file = read_npz(path, _KNOWN, _IMAGES, limit, or_raise="config.data.resident_bytes")
    _check_whole(file, loading)
    if file.own_names:
        named = [f"{shown(own)} as {name}" for name, own in file.own_names.items()]
        loading.say(f"{shown(path)}: arrays read: {few(named, 6)}")
    return load_arrays(file, loading)


def _check_whole(file: NpzFile, loading: Loading) -> None:
    """Reads all of a set that is streamed once, since a memory map checks nothing."""
    if file.stamp is None:
        return
    kept = loading.cache_dir and scan_path(loading.cache_dir, [file.path], "checksums")
    if load_json(kept or None) is not True:
        file.check_whole()
        if kept:
            save_json(kept, True)


def load_arrays(file: NpzFile, loading: Loading) -> Dataset:
    """Makes a data set of the arrays of a file; see `load_npz`."""
    path = file.path
    splits = {prefix: _PREFIXES.get(prefix, "train") for prefix in _prefixes(file)}
    targets = Targets(target_kind(file, splits, loading.target))
    if targets.kind == "class":
        class_names, labels = _classes(file, splits, loading)
    else:
        class_names, labels = read_targets(file, list(splits), targets.kind)
    kinds: dict[bool, str] = {}
    clips: dict[str, list[np.ndarray]] = {}
    for prefix in splits:
        clips[prefix], of_clips = _frames(file, prefix, len(labels[prefix]), loading.kind)
        kinds[of_clips] = f"{prefix}images"
        if targets.kind == "steps":
            where = f"{shown(path)}: {prefix}targets"
            labels[prefix] = [
                check_steps(where, index, row, len(clip))
                for index, (row, clip) in enumerate(zip(labels[prefix], clips[prefix], strict=True))
            ]
    if len(kinds) == 2:
        raise UserError(
            f"{shown(path)}: {kinds[False]} are images and {kinds[True]} are clips; set"
            " config.data.kind, or save both alike"
        )
    given, tones = _examples(file, splits, labels, clips, loading)
    checksums = file.checksums
    if tones.ranges:  # The same file under another scale is another set.
        checksums = hashlib.sha256(f"{checksums} {tones.ranges}".encode()).hexdigest()
    dataset = make_dataset(
        path,
        class_names,
        given,
        of_clips,
        loading,
        ("file by CRC-32", checksums),
        file.check_unchanged,
        targets,
    )
    return dataclasses.replace(dataset, tones=tones)


def _classes(file: NpzFile, prefixes: Iterable[str], loading: Loading) -> Found:
    """A class for each example."""
    labels = {prefix: _labels(file, prefix) for prefix in prefixes}
    first = _first_label(file, labels)
    if first:
        labels = {prefix: array.astype(np.int64) - first for prefix, array in labels.items()}
        highest = max(int(array.max()) for array in labels.values() if len(array)) + first
        loading.say(f"{shown(file.path)}: labels begin at 1: taken as classes 1 to {highest}")
    names = _class_names(file, labels, first)
    return Found(names, {p: _numbered(file, p, array, names) for p, array in labels.items()})


def _examples(
    file: NpzFile,
    splits: dict[str, str],
    labels: dict[str, list[Any]],
    clips: dict[str, list[np.ndarray]],
    loading: Loading,
) -> tuple[dict[str, list[Example]], Tones]:
    """The examples of each split, and the scale of their values. `clips` is emptied."""
    where = shown(file.path)
    places = places_of(file, clips, loading)
    tones = tones_of_splits(where, clips, splits, places, loading)
    fitted = functools.partial(fit_known, size=loading.size)
    given: dict[str, list[Example]] = {}
    for prefix, split in splits.items():
        given[split] = []
        # `given` alone keeps them, and `make_dataset` empties it.
        for index, clip in enumerate(clips.pop(prefix)):
            name = f"{where}: {prefix}images[{index}]"
            read: Callable[[], np.ndarray] = functools.partial(fitted, clip)
            if tones.ranges:
                read = reader(name, clip, tones.ranges, fitted)
            shape = known_shape(shape_in_channels(clip, tones), loading.size)
            fraction, content, group = places[prefix][index]
            given[split].append(
                Example(name, shape, labels[prefix][index], fraction, content, read, group)
            )
    return given, tones


def _prefixes(file: NpzFile) -> list[str]:
    """What stands before `images`: nothing, or the names of the splits."""
    where = shown(file.path)
    for key in set(file.keys) - set(_KNOWN):
        near = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.85)
        if near and near[0] not in file.keys:
            raise UserError(
                f"{where}: '{shown(key)}' is not known; did you mean '{near[0]}'? rename it or"
                " leave it out"
            )
    prefixes = [p for p in _PREFIXES if any(p + array in file.keys for array in _ARRAYS)]
    if not prefixes:
        file.check_has("images", "labels")
        return [""]
    if "images" in file.keys or {"val_", "validation_"} <= set(prefixes):
        other = "images" if "images" in file.keys else "validation_images"
        raise UserError(
            f"{where}: it has both {other} and {prefixes[0 if other == 'images' else 1]}images;"
            " save either of them"
        )
    file.check_has(*(p + array for p in ("train_", *prefixes) for array in ("images", "labels")))
    return prefixes


def _frames(
    file: NpzFile, prefix: str, num_labels: int, kind: str
) -> tuple[list[np.ndarray], bool]:
    where = f"{shown(file.path)}: {prefix}images"
    images = file.arrays.pop(f"{prefix}images")  # The file itself does not keep it in memory.
    if len(images.shape) > 1 and len(images) != num_labels:
        found = f"{where} has the shape {images.shape}, and {prefix}labels has {num_labels} labels"
        if images.shape[1] == num_labels:
            raise UserError(
                f"{found}: it looks like (time, batch, ...); examples come first: save"
                " np.swapaxes(images, 0, 1)"
            )
        raise UserError(f"{found}; one label for each example is needed")
    return example_frames(where, images, file.arrays.get(f"{prefix}lengths"), kind)


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
