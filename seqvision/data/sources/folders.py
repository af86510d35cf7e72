"""The user's own data set from a folder for each class."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seqvision.data.dataset import Dataset
from seqvision.data.files.clips import frame_files, read_frames
from seqvision.data.files.content import Content
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.files.pixels import HostFrames
from seqvision.data.files.tones import Tones
from seqvision.data.sources.examples import Example, fit_known, known_shape, make_dataset
from seqvision.data.sources.folder_layout import Row, find_examples
from seqvision.data.sources.hash_split import fraction_of
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_targets import step_names
from seqvision.data.sources.scan_cache import FileScan, load_scan, save_scan, scan_path
from seqvision.data.sources.set_tones import tones_of
from seqvision.data.sources.step_tables import check_length, step_tables
from seqvision.data.targets import CLASSES, UNKNOWN, Targets
from seqvision.errors import UserError


def load_folders(path: Path, loading: Loading) -> Dataset:
    """Loads images or clips from `path/CLASS/`, or from `path/train/CLASS/` and so on.

    A class folder holds images, or clips: GIFs, videos, folders of frames. See `folder_layout` and
    `split_names`. Where clips have tables of targets, see `step_tables`, these are learnt, and
    the class folders only hold the clips. Classes and files come in natural order. All files of a
    set that is streamed are scanned first.

    Returns:
      Images (N, height, width, channels) or clips (N, T, height, width, channels) as uint8. Clips
      are as long as the longest; the frames after a clip's own are 0.

    Raises:
      UserError: no such folder, no classes, images among clips, different sizes, broken files: one
        line.
    """
    rows, of_clips = find_examples(path, loading.kind, loading.reads_clips, loading.say)
    class_names = tuple(sorted({row.class_name for row in rows}, key=natural_key))
    tables = step_tables([row.path for row in rows], loading.target) if of_clips else None
    if tables is not None:
        class_names = step_names(target for table in tables for target in table)
    elif loading.target == "steps":
        raise UserError(
            f"{shown(path)}: it holds images, and config.data.target=steps is for clips"
        )
    loading = dataclasses.replace(loading, tones=_tones(rows, loading))
    given = _examples(rows, class_names, loading, of_clips, tables)
    targets = CLASSES if tables is None else Targets("steps")
    dataset = make_dataset(path, class_names, given, of_clips, loading, targets=targets)
    return dataclasses.replace(dataset, tones=loading.tones)


def _tones(rows: list[Row], loading: Loading) -> Tones:
    """Those of the training files, of all files where the user made no splits."""
    files = list(_all_files([row for row in rows if row.split == "train"]))
    how = f"tones {loading.tones!r} {loading.percentiles}"
    kept = scan_path(loading.cache_dir, files, how) if loading.cache_dir else None
    return tones_of(files, loading.tones, kept, loading.say, loading.percentiles)


def _all_files(rows: list[Row]) -> Iterator[Path]:
    """The files that the examples are made of."""
    for row in rows:
        if row.path.is_dir():
            yield from frame_files(row.path)
        else:
            yield row.path


def _examples(
    rows: list[Row],
    class_names: tuple[str, ...],
    loading: Loading,
    of_clips: bool,
    tables: list[list[str]] | None = None,
) -> dict[str, list[Example]]:
    """The examples by the splits that the user made, without those that cannot be read.

    They are scanned, unless an earlier scan of them was kept.
    """
    # Long videos are read in the size that is asked for.
    files, how = _all_files(rows), repr((loading.tones, loading.size[:2]))
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
    for number, ((split, class_name, file), found) in enumerate(zip(rows, scans, strict=True)):
        if found.problem:
            if loading.broken_files == "fail":
                raise _broken(file, found)
            broken.append(f"{shown(file)} ({found.problem})")
            continue
        if found.shape[0] > 1 and not of_clips:  # An animation that is named as a picture.
            raise UserError(
                f"{shown(file)}: a clip of {found.shape[0]} frames among images; a data set is made"
                " of either: move it elsewhere"
            )
        read = functools.partial(_read_again, file, loading)
        if frames is not None:
            read = functools.partial(np.asarray, next(in_memory))
        shape = known_shape(found.shape, loading.size)
        label: Any = labels[class_name] if tables is None else None
        if tables is not None:
            targets = check_length(file, tables[number], found.shape[0])
            label = np.array([labels.get(target, UNKNOWN) for target in targets], np.int32)
        numbers = found.fraction, found.pixels
        given[split].append(Example(shown(file), shape, label, *numbers, read))
    if broken:
        loading.say(f"broken files skipped, {len(broken)} of {len(rows)}: {few(broken)}")
    return given


def _scan(rows: list[Row], loading: Loading) -> tuple[list[FileScan], list[np.ndarray] | None]:
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
            content = Content()
            frames = read_frames(row.path, loading.size[:2], loading.tones, None, content)
        except UnreadableImageError as error:
            scans.append(FileScan((), 0.0, 0.0, str(error)))
            if loading.broken_files == "fail":
                raise _broken(row.path, scans[-1]) from error
            continue
        pixels = fraction_of(frames)
        follows = content.digest or content.on_own_paper  # The whole set.
        fraction = fraction_of(frames, content) if follows else pixels
        scans.append(FileScan(frames.shape, fraction, pixels))
        if kept is not None:
            kept.append(fit_known(frames, loading.size))
            num_bytes += kept[-1].nbytes
            if num_bytes > loading.resident_bytes:
                kept = None
    return scans, kept


def _read_again(file: Path, loading: Loading) -> HostFrames:
    try:
        return fit_known(read_frames(file, loading.size[:2], loading.tones), loading.size)
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
