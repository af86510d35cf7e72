"""The user's own features of clips: files in class folders, or one `.npz` file."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqvision.data.dataset import Dataset
from seqvision.data.features.feature_split import FeatureSplit, stacked
from seqvision.data.files.feature_files import SUFFIXES, checked_features, read_features
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, natural_key, shown, visible
from seqvision.data.sources.array_splits import groups_of_array
from seqvision.data.sources.examples import groups_of as groups_of_examples
from seqvision.data.sources.groups import fraction_of_group, groups_of
from seqvision.data.sources.hash_split import cut
from seqvision.data.sources.leaks import leaks
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.split_names import split_folders
from seqvision.errors import UserError, explain_os_error
from seqvision.runtime.regular_file import open_regular

_PREFIXES = {"": "train", "train_": "train", "val_": "validation", "test_": "test"}


class _Clip(NamedTuple):
    """A clip: its file or array, its class, its features (L, D).

    Attributes:
      pixels: a number of the SHA-256 of the features.
      group: see `groups`; "" for none.
    """

    name: str
    class_name: str
    features: np.ndarray
    pixels: float
    group: str = ""

    @property
    def fraction(self) -> float:
        """By which a split is chosen, see `hash_split.side_of`."""
        return fraction_of_group(self.group) if self.group else self.pixels


def load_features(path: Path, loading: Loading) -> Dataset:
    """Loads features from `path/CLASS/*.npy`, `path/SPLIT/CLASS/*.npy`, or from one `.npz` file.

    The file holds `features` (N, L, D) and `labels` (N,), or `train_features`, `train_labels` and
    the same of `val` and `test`; of clips of several lengths also `lengths`, and `class_names`.

    Returns:
      Clips (N, T, 1, 1, D) as float32, see `shapes.HostFeatures`.

    Raises:
      UserError: a missing or damaged file, other shapes, NaN, features of several sizes, a class
        without training examples: one line.
    """
    where = shown(path)
    try:
        if path.is_dir():
            given, names = _of_folders(path, loading)
        else:
            given, names = _of_file(path, loading)
    except FileNotFoundError as error:
        raise UserError(f"{where}: no such file or folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    if len(names) < 2:
        raise UserError(f"{where}: {len(names)} classes ({few(list(names))}); two are needed")
    of_groups = any(clip.group for clip in given["train"])
    parts = cut(given, loading.validation_fraction, loading.test_fraction, of_groups)
    for line in leaks(parts):
        loading.say(f"{where}: {line}")
    trained = {clip.class_name for clip in parts["train"]}
    if missing := [name for name in names if name not in trained]:
        raise UserError(
            f"{where}: no training examples of {few(missing)}; add some, or choose smaller"
            " config.data.validation_fraction and config.data.test_fraction"
        )
    num_frames = max(len(clip.features) for clips in parts.values() for clip in clips)
    num_features = parts["train"][0].features.shape[1]
    numbers = {name: number for number, name in enumerate(names)}
    splits = {}
    for split, clips in parts.items():
        arrays = {
            "inputs": stacked([clip.features for clip in clips], num_frames, num_features),
            "labels": np.array([numbers[clip.class_name] for clip in clips], np.int32),
            "lengths": np.array([len(clip.features) for clip in clips], np.int32),
        }
        clip_names = tuple(clip.name for clip in clips)
        splits[split] = FeatureSplit(arrays, clip_names, groups_of_examples(clips))
    return Dataset(
        name=shown(path.stem if path.is_file() else path.resolve().name),
        version="own",
        class_names=names,
        splits=splits,
        input_shape=(num_frames, 1, 1, num_features),
        fingerprints={name: split.fingerprint() for name, split in splits.items()},
    )


Given = tuple[dict[str, list[_Clip]], tuple[str, ...]]


def _of_folders(path: Path, loading: Loading) -> Given:
    folders = _folders_in(path)
    splits = split_folders(shown(path), folders) or {"train": path}
    given: dict[str, list[_Clip]] = {}
    others: list[Path] = []
    files: list[Path] = []
    size = 0
    for split, folder in splits.items():
        given[split] = []
        for inside in _folders_in(folder):
            for file in sorted(visible(inside), key=lambda one: natural_key(one.name)):
                if file.suffix.lower() not in SUFFIXES:
                    others.append(file)
                    continue
                try:
                    features = read_features(file, size)
                except UnreadableImageError as error:
                    raise UserError(f"{shown(file)}: {error}") from error
                size = features.shape[1]
                files.append(file)
                given[split].append(_clip(shown(file), inside.name, features))
        if not given[split]:
            raise UserError(
                f"{shown(folder)}: no class folders with .npy or .npz files in it; put the features"
                f" of each clip into a file, such as {shown(folder / 'CLASS' / 'clip.npy')}"
                " (--mode=features makes them)"
            )
    groups = iter(groups_of(path, files, loading.group_pattern, loading.say))
    given = {
        split: [clip._replace(group=next(groups)) for clip in clips]
        for split, clips in given.items()
    }
    if others:
        loading.say(f"other files left out, {len(others)}: such as {shown(others[0])}")
    found = {clip.class_name for clips in given.values() for clip in clips}
    return given, tuple(sorted(found, key=natural_key))


def _folders_in(folder: Path) -> list[Path]:
    return sorted(
        (one for one in visible(folder) if one.is_dir()), key=lambda f: natural_key(f.name)
    )


def _of_file(path: Path, loading: Loading) -> Given:
    where = shown(path)
    if loading.group_pattern:
        raise UserError(
            f"config.data.group_pattern: '{loading.group_pattern}' has no effect on {where}, which"
            " is one file; leave it empty, and save the array groups in it"
        )
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for what they cannot read.
        raise UserError(f"{where}: no .npz file of numpy, or a damaged one") from error
    prefixes = [prefix for prefix in _PREFIXES if f"{prefix}features" in arrays]
    if not prefixes or (len(prefixes) > 1 and "" in prefixes) or prefixes[0] not in ("", "train_"):
        raise UserError(
            f"{where}: it has {few(list(map(shown, arrays))) or 'nothing'}; features (N, L, D) and"
            " labels (N,) are needed, or train_features, train_labels and the same of val and test"
        )
    given, names = dict[str, list[_Clip]](), _class_names(where, arrays, prefixes)
    for prefix in prefixes:
        clips = list(_clips(where, arrays, prefix, names))
        groups = groups_of_array(where, f"{prefix}groups", arrays, len(clips))
        given[_PREFIXES[prefix]] = [
            clip._replace(group=group) for clip, group in zip(clips, groups, strict=True)
        ]
    return given, names


def _class_names(where: str, arrays: dict[str, Any], prefixes: list[str]) -> tuple[str, ...]:
    labels = []
    for prefix in prefixes:
        found = arrays.get(f"{prefix}labels")
        if found is None or found.ndim != 1 or found.dtype.kind not in "iuU":
            what = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise UserError(
                f"{where}: {prefix}labels: {what}; whole numbers from 0 to K - 1, or strings, one"
                " for each clip, are needed"
            )
        labels.append(found)
    every = np.concatenate([one.astype(str) for one in labels]).tolist()
    if labels[0].dtype.kind == "U":
        return tuple(sorted(set(every), key=natural_key))
    lowest, highest = min(map(int, every)), max(map(int, every))
    names = arrays.get("class_names")
    count = highest + 1 if names is None else len(names)
    if lowest < 0 or highest >= count or count > len(every):
        raise UserError(
            f"{where}: labels are {lowest} to {highest}, of {len(every)} clips and {count} classes;"
            " whole numbers from 0 to K - 1 are needed"
        )
    return tuple(map(str, range(count) if names is None else names.tolist()))


def _clips(
    where: str, arrays: dict[str, Any], prefix: str, names: tuple[str, ...]
) -> Iterator[_Clip]:
    key = f"{prefix}features"
    features, labels = arrays[key], arrays[f"{prefix}labels"]
    lengths = arrays.get(f"{prefix}lengths")
    if features.ndim != 3 or len(features) != len(labels):
        raise UserError(
            f"{where}: {key} has the shape {features.shape}, of {len(labels)} labels; (N, L, D), a"
            " label for each, is needed"
        )
    if lengths is None:
        lengths = np.full(len(features), features.shape[1])
    if lengths.shape != labels.shape or ((lengths < 1) | (lengths > features.shape[1])).any():
        raise UserError(
            f"{where}: {prefix}lengths: one for each clip, from 1 to {features.shape[1]}, is needed"
        )
    for number, (clip, length, label) in enumerate(zip(features, lengths, labels, strict=True)):
        name = f"{where}: {key}[{number}]"
        try:
            checked = checked_features(clip[: int(length)])
        except UnreadableImageError as error:
            raise UserError(f"{name}: {error}") from error
        yield _clip(name, str(label) if labels.dtype.kind == "U" else names[int(label)], checked)


def _clip(name: str, class_name: str, features: np.ndarray) -> _Clip:
    digest = hashlib.sha256(repr(features.shape).encode())
    digest.update(features.data)
    pixels = int.from_bytes(digest.digest()[:6], "big") / 2**48
    return _Clip(name, class_name, features, pixels)
