"""The user's own data set from a folder for each class."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from seqvision.data.alphabet import normalized
from seqvision.data.dataset import Dataset
from seqvision.data.files.clips import (
    CLIP_SUFFIXES,
    IMAGE_SUFFIXES,
    frame_files,
    kind_of,
    read_frames,
)
from seqvision.data.files.images import UnreadableImageError
from seqvision.data.files.paths import few, natural_key, shown, visible
from seqvision.data.files.pixels import HostFrames
from seqvision.data.files.tones import Tones
from seqvision.data.sources.examples import Example, fit_known, known_shape, make_dataset
from seqvision.data.sources.hash_split import fraction_of
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.scan_cache import FileScan, load_scan, save_scan, scan_path
from seqvision.data.sources.set_tones import kept_tones, tones_of
from seqvision.errors import UserError, explain_os_error

_SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


class _Row(NamedTuple):
    """An example: its split, its class and where it lies."""

    split: str
    class_name: str
    path: Path


def load_folders(path: Path, loading: Loading) -> Dataset:
    """Loads images or clips from `path/CLASS/`, or from `path/train/CLASS/` and so on.

    A class folder holds images, or clips: GIFs, videos, folders of frames. Splits are `train`,
    `val` (or `validation`) and `test`. Classes and files come in natural order. All files of a set
    that is streamed are scanned first.

    Returns:
      Images (N, height, width, channels) or clips (N, T, height, width, channels) as uint8. Clips
      are as long as the longest; the frames after a clip's own are 0.

    Raises:
      UserError: no such folder, no classes, images among clips, different sizes, broken files: one
        line.
    """
    rows = _list(path, loading.say)
    of_clips = _of_clips(path, rows)
    class_names = tuple(sorted({row.class_name for row in rows}, key=natural_key))
    loading = dataclasses.replace(loading, tones=_tones(rows, loading))
    given = _examples(rows, class_names, loading)
    dataset = make_dataset(path, class_names, given, of_clips, loading)
    return dataclasses.replace(dataset, tones=loading.tones)


def _tones(rows: list[_Row], loading: Loading) -> Tones:
    """Those of the training files, of all files where the user made no splits."""
    files = list(_all_files([row for row in rows if row.split == "train"]))
    how = f"tones {loading.tones}"
    kept = scan_path(loading.cache_dir, files, how) if loading.cache_dir else None
    return kept_tones(kept, lambda: tones_of(files, loading.tones, loading.say))


def _list(path: Path, say: Callable[[str], None]) -> list[_Row]:
    """The examples: each split's by their classes, in natural order."""
    rows: list[_Row] = []
    others: list[Path] = []
    empty: list[Path] = []
    try:
        for split, folder in _split_folders(path).items():
            found = []
            for entry in visible(folder):
                if not entry.is_dir():
                    others.append(entry)
                elif files := _class_files(entry, others):
                    found += [_Row(split, _class_name(entry), file) for file in files]
                else:
                    empty.append(entry)
            if not found:
                raise UserError(
                    f"{shown(folder)}: no class folders with images or clips in it; put them into"
                    f" one folder for each class, such as {shown(folder / 'CLASS' / 'file.png')}"
                )
            rows += sorted(found, key=lambda row: natural_key(row.class_name))
    except FileNotFoundError as error:
        raise UserError(f"{shown(path)}: no such folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    if empty:
        say(f"folders without images or clips, left out: {few([shown(f) for f in empty])}")
    if others:
        say(f"other files left out, {len(others)}: such as {shown(others[0])}")
    return rows


def _split_folders(path: Path) -> dict[str, Path]:
    """The folders of the splits; `path` itself as `train` where there are none."""
    folders = [entry for entry in visible(path) if entry.is_dir()]
    splits = [folder for folder in folders if folder.name.lower() in _SPLIT_NAMES]
    others = [folder for folder in folders if folder not in splits]
    # One alone among others is a class: CIFAR-100 has a `train`.
    if not splits or (others and len(splits) == 1):
        return {"train": path}
    found: dict[str, Path] = {}
    for folder in splits:
        split = _SPLIT_NAMES[folder.name.lower()]
        if split in found:
            raise UserError(
                f"{shown(path)}: both {shown(found[split].name)} and {shown(folder.name)} are"
                f" folders for {split}; keep one of them"
            )
        found[split] = folder
    if others or "train" not in found:
        wrong = f"and also {shown(others[0].name)}" if others else "but no train"
        raise UserError(
            f"{shown(path)}: it has {few([f.name for f in splits])} {wrong}; either all its"
            " folders are train, val and test, or all are classes"
        )
    return found


def _class_files(folder: Path, others: list[Path]) -> list[Path]:
    """The images or clips of a class; all else goes to `others`."""
    files = []
    for entry in visible(folder):
        if entry.is_dir():
            files.append(entry)
            frames = set(frame_files(entry))
            others.extend(path for path in visible(entry) if path not in frames)
        elif entry.suffix.lower() in IMAGE_SUFFIXES | CLIP_SUFFIXES:
            files.append(entry)
        else:
            others.append(entry)
    return files


def _class_name(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{shown(folder)}: its name is not UTF-8; rename it to the name of the class"
        ) from error
    # macOS writes é as two characters, others as one.
    return normalized(folder.name)


def _of_clips(path: Path, rows: list[_Row]) -> bool:
    examples: dict[str, Path] = {}
    for row in rows:
        examples.setdefault(kind_of(row.path), row.path)
    if "image" in examples and "clip" in examples:
        raise UserError(
            f"{shown(path)}: {shown(examples['image'])} is an image and {shown(examples['clip'])} a"
            " clip; a data set is made of either: move one kind elsewhere"
        )
    return "clip" in examples


def _all_files(rows: list[_Row]) -> Iterator[Path]:
    """The files that the examples are made of."""
    for row in rows:
        if row.path.is_dir():
            yield from frame_files(row.path)
        else:
            yield row.path


def _examples(
    rows: list[_Row], class_names: tuple[str, ...], loading: Loading
) -> dict[str, list[Example]]:
    """The examples by the splits that the user made, without those that cannot be read.

    They are scanned, unless an earlier scan of them was kept.
    """
    files, how = _all_files(rows), str(loading.tones)
    kept = scan_path(loading.cache_dir, files, how) if loading.cache_dir else None
    scans, frames = load_scan(kept, lambda scans: len(scans) == len(rows)), None
    if scans is None:
        scans, frames = _scan(rows, loading)
        if frames is None:
            save_scan(kept, scans, loading.say)
    in_memory = iter(frames or ())
    labels = {name: label for label, name in enumerate(class_names)}
    given: dict[str, list[Example]] = {row.split: [] for row in rows}
    broken: list[str] = []
    for (split, class_name, file), found in zip(rows, scans, strict=True):
        if found.problem:
            if loading.broken_files == "fail":
                raise _broken(file, found)
            broken.append(f"{shown(file)} ({found.problem})")
            continue
        read = functools.partial(_read_again, file, loading)
        if frames is not None:
            read = functools.partial(np.asarray, next(in_memory))
        shape = known_shape(found.shape, loading.size)
        given[split].append(Example(shown(file), shape, labels[class_name], found.fraction, read))
    if broken:
        loading.say(f"broken files skipped, {len(broken)} of {len(rows)}: {few(broken)}")
    return given


def _scan(rows: list[_Row], loading: Loading) -> tuple[list[FileScan], list[np.ndarray] | None]:
    """Reads every example once.

    Returns:
      What each is, and the frames of those that can be read, fitted as far as their size is known;
      None where all of them together are larger than `loading.resident_bytes`.
    """
    scans: list[FileScan] = []
    kept: list[np.ndarray] | None = []
    num_bytes = 0
    for row in tqdm(rows, disable=not loading.show_progress, leave=False):
        try:
            frames = read_frames(row.path, loading.tones)
        except UnreadableImageError as error:
            scans.append(FileScan((), 0.0, str(error)))
            if loading.broken_files == "fail":
                raise _broken(row.path, scans[-1]) from error
            continue
        scans.append(FileScan(frames.shape, fraction_of(frames)))
        if kept is not None:
            kept.append(fit_known(frames, loading.size))
            num_bytes += kept[-1].nbytes
            if num_bytes > loading.resident_bytes:
                kept = None
    return scans, kept


def _read_again(file: Path, loading: Loading) -> HostFrames:
    try:
        return fit_known(read_frames(file, loading.tones), loading.size)
    except UnreadableImageError as error:
        raise UserError(
            f"{shown(file)}: cannot be read any more ({error}), and it could when the set was"
            " scanned; bring it back, then run the same command again: training goes on from"
            " its last checkpoint"
        ) from error


def _broken(file: Path, scan: FileScan) -> UserError:
    return UserError(
        f"{shown(file)}: cannot be read ({scan.problem}); repair or remove it, or set"
        " config.data.broken_files = 'skip' to leave such files out"
    )
