"""The user's own data set from a folder for each class."""

import dataclasses
import functools
import math
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

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
from seqvision.data.sources.examples import Example, fit_known, known_shape, make_dataset
from seqvision.data.sources.hash_split import fraction_of
from seqvision.data.sources.scan_cache import FileScan, load_scan, save_scan, scan_path
from seqvision.errors import UserError, explain_os_error

_SPLIT_NAMES = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}

_Row: TypeAlias = tuple[str, int, Path]
"""An example: its split, its label and where it lies."""


@dataclasses.dataclass
class _Listing:
    """What lies where: examples by split and class, and what is none of them."""

    examples: dict[str, dict[str, list[Path]]]
    others: list[Path]
    empty: list[Path]

    @property
    def paths(self) -> list[Path]:
        classes = (files for split in self.examples.values() for files in split.values())
        return [path for files in classes for path in files]

    def rows(self, class_names: tuple[str, ...]) -> Iterator[_Row]:
        """Split, label and path of each example, in order."""
        for split, classes in self.examples.items():
            for label, name in enumerate(class_names):
                for file in classes.get(name, []):
                    yield split, label, file


def load_folders(
    path: Path,
    *,
    size: tuple[int, int, int] = (0, 0, 0),
    broken_files: str,
    validation_fraction: float,
    test_fraction: float,
    say: Callable[[str], None],
    show_progress: bool,
    resident_bytes: float = math.inf,
    cache_dir: Path | None = None,
) -> Dataset:
    """Loads images or clips from `path/CLASS/`, or from `path/train/CLASS/` and so on.

    A class folder holds images, or clips: GIFs, videos, folders of frames. Splits are `train`,
    `val` (or `validation`) and `test`. Classes and files come in natural order.

    Args:
      path: the folder.
      size: height, width and channels to bring all to; 0 is what the files have, which is one
        channel where all of them are grey.
      broken_files: `fail` or `skip`, where a file cannot be read.
      validation_fraction, test_fraction: how much of the examples to hold out where there is no
        folder for such a split; see `hash_split`.
      say: called with lines about what is left out.
      show_progress: draw a progress bar.
      resident_bytes: a larger set is streamed. All its files are scanned first: which can be
        read, their sizes, and which are held out.
      cache_dir: where that scan is kept; None keeps nothing.

    Returns:
      Images (N, height, width, channels) or clips (N, T, height, width, channels) as uint8. Clips
      are as long as the longest; the frames after a clip's own are 0.

    Raises:
      UserError: no such folder, no classes, images among clips, different sizes, broken files: one
        line.
    """
    listing = _list(path, say)
    of_clips = _of_clips(path, listing.paths)
    used = {name for classes in listing.examples.values() for name in classes}
    class_names = tuple(sorted(used, key=natural_key))
    rows = list(listing.rows(class_names))
    scan = None if cache_dir is None else scan_path(cache_dir, _all_files(rows))
    given = _examples(rows, size, broken_files, resident_bytes, scan, say, show_progress)
    return make_dataset(
        path,
        class_names,
        given,
        of_clips,
        size,
        validation_fraction,
        test_fraction,
        resident_bytes,
    )


def _list(path: Path, say: Callable[[str], None]) -> _Listing:
    listing = _Listing({}, [], [])
    try:
        for split, folder in _split_folders(path).items():
            _list_classes(folder, listing.examples.setdefault(split, {}), listing)
    except FileNotFoundError as error:
        raise UserError(f"{shown(path)}: no such folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    if listing.empty:
        say(f"folders without images or clips, left out: {few([shown(f) for f in listing.empty])}")
    if listing.others:
        say(f"other files left out, {len(listing.others)}: such as {shown(listing.others[0])}")
    return listing


def _list_classes(folder: Path, classes: dict[str, list[Path]], listing: _Listing) -> None:
    """Adds the files of a split by their classes; what is no example goes to the listing."""
    for entry in visible(folder):
        if not entry.is_dir():
            listing.others.append(entry)
        elif files := _class_files(entry, listing.others):
            classes.setdefault(_class_name(entry), []).extend(files)
        else:
            listing.empty.append(entry)
    if not classes:
        raise UserError(
            f"{shown(folder)}: no class folders with images or clips in it; put them into one"
            f" folder for each class, such as {shown(folder / 'CLASS' / 'file.png')}"
        )


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
    return unicodedata.normalize("NFC", folder.name)


def _of_clips(path: Path, files: list[Path]) -> bool:
    examples: dict[str, Path] = {}
    for file in files:
        examples.setdefault(kind_of(file), file)
    if "image" in examples and "clip" in examples:
        raise UserError(
            f"{shown(path)}: {shown(examples['image'])} is an image and {shown(examples['clip'])} a"
            " clip; a data set is made of either: move one kind elsewhere"
        )
    return "clip" in examples


def _all_files(rows: list[_Row]) -> Iterator[Path]:
    """The files that the examples are made of."""
    for _, _, path in rows:
        if path.is_dir():
            yield from frame_files(path)
        else:
            yield path


def _examples(
    rows: list[_Row],
    size: tuple[int, int, int],
    broken_files: str,
    resident_bytes: float,
    scan: Path | None,
    say: Callable[[str], None],
    show_progress: bool,
) -> dict[str, list[Example]]:
    """The examples by the splits that the user made, without those that cannot be read.

    They are scanned, unless `scan` keeps an earlier scan of them.
    """
    scans, frames = load_scan(scan, lambda scans: len(scans) == len(rows)), None
    if scans is None:
        scans, frames = _scan(rows, size, broken_files, resident_bytes, show_progress)
        if scan is not None and frames is None:
            save_scan(scan, scans, say)
    in_memory = None if frames is None else iter(frames)
    given: dict[str, list[Example]] = {split: [] for split, _, _ in rows}
    broken: list[str] = []
    for (split, label, file), found in zip(rows, scans, strict=True):
        if found.problem:
            if broken_files == "fail":
                raise _broken(file, found)
            broken.append(f"{shown(file)} ({found.problem})")
            continue
        read = functools.partial(_read_again, file, size)
        if in_memory is not None:
            read = functools.partial(np.asarray, next(in_memory))
        shape = known_shape(found.shape, size)
        given[split].append(Example(shown(file), shape, label, found.fraction, read))
    if broken:
        say(f"broken files skipped, {len(broken)} of {len(rows)}: {few(broken)}")
    return given


def _scan(
    rows: list[_Row],
    size: tuple[int, int, int],
    broken_files: str,
    resident_bytes: float,
    show_progress: bool,
) -> tuple[list[FileScan], list[np.ndarray] | None]:
    """Reads every example once.

    Returns:
      What each is, and the frames of those that can be read, fitted as far as `size` is known; None
      where all of them together are larger than `resident_bytes`.
    """
    scans: list[FileScan] = []
    kept: list[np.ndarray] | None = []
    num_bytes = 0
    for _, _, file in tqdm(rows, disable=not show_progress, leave=False):
        try:
            frames = read_frames(file)
        except UnreadableImageError as error:
            scans.append(FileScan((), 0.0, str(error)))
            if broken_files == "fail":
                raise _broken(file, scans[-1]) from error
            continue
        scans.append(FileScan(frames.shape, fraction_of(frames)))
        if kept is not None:
            kept.append(fit_known(frames, size))
            num_bytes += kept[-1].nbytes
            if num_bytes > resident_bytes:
                kept = None
    return scans, kept


def _read_again(file: Path, size: tuple[int, int, int]) -> HostFrames:
    try:
        return fit_known(read_frames(file), size)
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
