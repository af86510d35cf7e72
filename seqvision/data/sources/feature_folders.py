"""The user's own features of clips: files in class folders, or one `.npz` file."""

from pathlib import Path

import numpy as np

from seqvision.data.dataset import Dataset
from seqvision.data.features.feature_split import FeatureSplit, stacked
from seqvision.data.files.feature_files import SUFFIXES, read_feature_file
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, natural_key, shown, visible
from seqvision.data.sources.examples import groups_of as groups_of_examples
from seqvision.data.sources.feature_arrays import Given, feature_clip, features_of_file
from seqvision.data.sources.feature_targets import ClipFile, targets_of_files
from seqvision.data.sources.groups import TABLE, groups_of
from seqvision.data.sources.hash_split import cut
from seqvision.data.sources.leaks import leaks
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.split_names import split_folders
from seqvision.data.sources.step_tables import table_path
from seqvision.data.sources.target_checks import checked_targets
from seqvision.errors import UserError, explain_os_error


def load_features(path: Path, loading: Loading) -> Dataset:
    """Loads features from `path/CLASS/*.npy`, `path/SPLIT/CLASS/*.npy`, or from one `.npz` file.

    The file holds `features` (N, L, D) and `labels` (N,), or `train_features`, `train_labels` and
    the same of `val` and `test`; of clips of several lengths also `lengths`, and `class_names`.
    Other targets than a class for each clip: of a file see `npz_targets`, of folders
    `feature_targets`; then the class folders say nothing, and may be missing.

    Returns:
      Clips (N, T, 1, 1, D) as float32, see `shapes.HostFeatures`.

    Raises:
      UserError: a missing or damaged file, other shapes, NaN, features of several sizes, a class
        without training examples: one line.
    """
    where = shown(path)
    try:
        given = _of_folders(path, loading) if path.is_dir() else features_of_file(path, loading)
    except FileNotFoundError as error:
        raise UserError(f"{where}: no such file or folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    names = given.class_names
    if given.targets.gives_classes and len(names) < 2:
        raise UserError(f"{where}: {len(names)} classes ({few(list(names))}); two are needed")
    of_groups = any(clip.group for clip in given.clips["train"])
    parts = cut(given.clips, loading.validation_fraction, loading.test_fraction, of_groups)
    for line in leaks(parts):
        loading.say(f"{where}: {line}")
    num_frames = max(len(clip.features) for clips in parts.values() for clip in clips)
    targets = checked_targets(where, names, parts, given.targets, num_frames, loading.say)
    num_features = parts["train"][0].features.shape[1]
    splits = {}
    for split, clips in parts.items():
        arrays = {
            "inputs": stacked([clip.features for clip in clips], num_frames, num_features),
            "labels": targets.array([clip.label for clip in clips], num_frames),
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
        targets=targets,
    )


def _of_folders(path: Path, loading: Loading) -> Given:
    splits = split_folders(shown(path), _folders_in(path)) or {"train": path}
    clips: list[ClipFile] = []
    split_of_clip: list[str] = []
    others: list[Path] = []
    for split, folder in splits.items():
        found = [one for inside in _folders_in(folder) for one in _files_in(inside)]
        if not any(_is_features(one) for one in found):
            found = _files_in(folder)
        files = [one for one in found if _is_features(one)]
        if not files:
            raise UserError(
                f"{shown(folder)}: no class folders with .npy or .npz files in it; put the features"
                f" of each clip into a file, such as {shown(folder / 'CLASS' / 'clip.npy')}"
                " (--mode=features makes them)"
            )
        tables = {table_path(one) for one in files}
        others += [one for one in found if one not in tables and not _is_features(one)]
        for file in files:
            size = clips[0].read.features.shape[1] if clips else 0
            try:
                read = read_feature_file(file, size)
            except UnreadableImageError as error:
                raise UserError(f"{shown(file)}: {error}") from error
            clips.append(ClipFile(file, "" if file.parent == folder else file.parent.name, read))
            split_of_clip.append(split)
    groups = groups_of(path, [clip.path for clip in clips], loading.group_pattern, loading.say)
    targets, names, labels = targets_of_files(path, clips, loading.target)
    given: dict[str, list] = {split: [] for split in splits}
    for clip, split, label, group in zip(clips, split_of_clip, labels, groups, strict=True):
        made = feature_clip(shown(clip.path), label, clip.read.features)
        given[split].append(made._replace(group=group))
    if others:
        loading.say(f"other files left out, {len(others)}: such as {shown(others[0])}")
    return Given(given, names, targets)


def _is_features(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _folders_in(folder: Path) -> list[Path]:
    return sorted(
        (one for one in visible(folder) if one.is_dir()), key=lambda f: natural_key(f.name)
    )


def _files_in(folder: Path) -> list[Path]:
    """What lies in a folder, in natural order; the table of groups is none of it."""
    found = (one for one in visible(folder) if one.name != TABLE)
    return sorted(found, key=lambda one: natural_key(one.name))
