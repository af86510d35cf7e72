"""The user's own features of clips in one `.npz` file, with what is to be predicted of each."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqvision.data.files.feature_files import checked_features
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, shown
from seqvision.data.sources.array_splits import groups_of_array
from seqvision.data.sources.groups import fraction_of_group, groups_line
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_file import NpzFile
from seqvision.data.sources.npz_labels import read_labels
from seqvision.data.sources.npz_targets import TARGETS, check_steps
from seqvision.data.targets import Targets
from seqvision.errors import UserError
from seqvision.runtime.regular_file import open_regular

_PREFIXES = {"": "train", "train_": "train", "val_": "validation", "test_": "test"}


class FeatureClip(NamedTuple):
    """A clip: its file or array, its label, its features (L, D).

    Attributes:
      label: a class 0 to K - 1; or another target, see `targets.Targets.array`.
      pixels: a number of the SHA-256 of the features.
      group: see `groups`; "" for none.
    """

    name: str
    label: Any
    features: np.ndarray
    pixels: float
    group: str = ""

    @property
    def fraction(self) -> float:
        """By which a split is chosen, see `hash_split.side_of`."""
        return fraction_of_group(self.group) if self.group else self.pixels


class Given(NamedTuple):
    """What a folder or file of features holds.

    Attributes:
      clips: by the splits that the user made; at least `train`.
      class_names: see `Dataset`.
      targets: what the labels are.
    """

    clips: dict[str, list[FeatureClip]]
    class_names: tuple[str, ...]
    targets: Targets


def feature_clip(name: str, label: Any, features: np.ndarray) -> FeatureClip:
    digest = hashlib.sha256(repr(features.shape).encode())
    digest.update(features.data)
    pixels = int.from_bytes(digest.digest()[:6], "big") / 2**48
    return FeatureClip(name, label, features, pixels)


def features_of_file(path: Path, loading: Loading) -> Given:
    """Reads `features` (N, L, D) and `labels` or `targets`; see `feature_folders.load_features`."""
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
    for prefix in prefixes:
        _check_shape(where, arrays, prefix)
        # To labels, features are frames of 1 x D.
        arrays[f"{prefix}images"] = arrays[f"{prefix}features"][:, :, None]
    targets, found = read_labels(NpzFile(path, list(arrays), arrays), prefixes, loading)
    given = dict[str, list[FeatureClip]]()
    for prefix in prefixes:
        clips = list(_clips(where, arrays, prefix, found.labels[prefix], targets))
        groups = groups_of_array(where, f"{prefix}groups", arrays, len(clips))
        given[_PREFIXES[prefix]] = [
            clip._replace(group=group) for clip, group in zip(clips, groups, strict=True)
        ]
    if every := [clip.group for clips in given.values() for clip in clips if clip.group]:
        loading.say(groups_line(every))
    return Given(given, found.class_names, targets)


def _check_shape(where: str, arrays: dict[str, np.ndarray], prefix: str) -> None:
    names = [f"{prefix}{name}" for name in (TARGETS, "labels") if f"{prefix}{name}" in arrays]
    if not names:
        raise UserError(
            f"{where}: {prefix}labels: missing; a class for each clip, (N,), or {prefix}{TARGETS}"
            " (N, L), a class for each frame, is needed"
        )
    shape = arrays[f"{prefix}features"].shape
    if len(shape) != 3:
        raise UserError(f"{where}: {prefix}features has the shape {shape}; (N, L, D) is needed")


def _clips(
    where: str, arrays: dict[str, np.ndarray], prefix: str, labels: list[Any], targets: Targets
) -> Iterator[FeatureClip]:
    key = f"{prefix}features"
    features, lengths = arrays[key], arrays.get(f"{prefix}lengths")
    if len(features) != len(labels):
        raise UserError(
            f"{where}: {key} has the shape {features.shape}, of {len(labels)} labels; (N, L, D), a"
            " label for each, is needed"
        )
    if lengths is None:
        lengths = np.full(len(features), features.shape[1])
    wrong = lengths.dtype.kind not in "iu" or lengths.shape != (len(labels),)
    if wrong or ((lengths < 1) | (lengths > features.shape[1])).any():
        raise UserError(
            f"{where}: {prefix}lengths: one for each clip, from 1 to {features.shape[1]}, is needed"
        )
    for number, (clip, length, label) in enumerate(zip(features, lengths, labels, strict=True)):
        name = f"{where}: {key}[{number}]"
        try:
            checked = checked_features(clip[: int(length)])
        except UnreadableImageError as error:
            raise UserError(f"{name}: {error}") from error
        if targets.kind == "steps":
            label = check_steps(f"{where}: {prefix}{TARGETS}: example {number}", label, int(length))
        yield feature_clip(name, label, checked)
