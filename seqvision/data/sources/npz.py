"""The user's own data set from one `.npz` file."""

import dataclasses
import difflib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.data.dataset import Dataset
from seqvision.data.files.paths import few, shown
from seqvision.data.files.tones import Tones
from seqvision.data.sources.array_splits import places_of, tones_of_splits
from seqvision.data.sources.array_values import reader, shape_in_channels
from seqvision.data.sources.examples import Example, fit_known, known_shape, make_dataset
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_file import NpzFile, example_frames, read_npz
from seqvision.data.sources.npz_labels import read_labels
from seqvision.data.sources.npz_memory_map import extremes
from seqvision.data.sources.npz_targets import check_steps
from seqvision.data.sources.scan_cache import load_json, save_json, scan_path
from seqvision.errors import UserError

# MedMNIST's names, and the long one.
_PREFIXES = {"train_": "train", "val_": "validation", "validation_": "validation", "test_": "test"}
_ARRAYS = ("images", "labels", "lengths")
_OPTIONAL = ("targets", "groups")
_IMAGES = tuple(f"{prefix}images" for prefix in ("", *_PREFIXES))
_KNOWN = ("class_names", *(p + a for p in ("", *_PREFIXES) for a in (*_ARRAYS, *_OPTIONAL)))


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
    targets, (class_names, labels) = read_labels(file, splits, loading)
    kinds: dict[bool, str] = {}
    clips: dict[str, list[np.ndarray]] = {}
    for prefix in splits:
        clips[prefix], of_clips = _frames(file, prefix, len(labels[prefix]), loading.kind)
        kinds[of_clips] = f"{prefix}images"
        if targets.kind == "steps":
            where = f"{shown(path)}: {prefix}targets"
            labels[prefix] = [
                check_steps(f"{where}: example {index}", row, len(clip))
                for index, (row, clip) in enumerate(zip(labels[prefix], clips[prefix], strict=True))
            ]
    if len(kinds) == 2:
        raise UserError(
            f"{shown(path)}: {kinds[False]} are images and {kinds[True]} are clips; set"
            " config.data.kind, or save both alike"
        )
    given, tones = _examples(file, splits, labels, clips, loading)
    loading = dataclasses.replace(loading, tones=tones)
    key = next(f"{prefix}images" for prefix, split in splits.items() if split == "train")
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
        functools.partial(_values, path, key),
    )
    return dataclasses.replace(dataset, tones=tones)


def _values(path: Path, key: str) -> tuple[float, float] | None:
    """The extremes of an array, which is read again; None of another kind of file."""
    try:
        low, high = extremes(read_npz(path, [key], [key]).arrays[key])
    except (UserError, KeyError):
        return None
    return (low, high) if low <= high else None


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
