"""The user's own data set from a folder for each class."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seqvision.data.dataset import Dataset
from seqvision.data.files.clips import frame_files, read_frames
from seqvision.data.files.content import Content
from seqvision.data.files.dicom import dicom_header, is_dicom
from seqvision.data.files.headers import header_of
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.files.pixels import HostFrames
from seqvision.data.files.tones import FILE_BY_FILE, Range, Tones
from seqvision.data.files.volumes import is_volume, voxel_size
from seqvision.data.sources.examples import Example, fit_known, known_shape, make_dataset
from seqvision.data.sources.folder_layout import Row, find_examples
from seqvision.data.sources.groups import fraction_of_group, groups_of
from seqvision.data.sources.hash_split import fraction_of, side_of
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_targets import step_names
from seqvision.data.sources.scan_cache import (
    FileScan,
    load_json,
    load_scan,
    save_json,
    save_scan,
    scan_path,
)
from seqvision.data.sources.set_tones import extremes_of, tones_of
from seqvision.data.sources.step_tables import StepTable, step_tables
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
    _read_headers(path, loading.show_progress)
    rows, of_clips = find_examples(path, loading.kind, loading.reads_clips, loading.say)
    groups = groups_of(path, [row.path for row in rows], loading.group_pattern, loading.say)
    rows = [row._replace(group=group) for row, group in zip(rows, groups, strict=True)]
    class_names = tuple(sorted({row.class_name for row in rows}, key=natural_key))
    tables = step_tables([row.path for row in rows], loading.target) if of_clips else None
    if tables is not None:
        class_names = step_names(target for table in tables for target in table.targets)
    elif loading.target == "steps":
        raise UserError(
            f"{shown(path)}: it holds images, and config.data.target=steps is for clips"
        )
    loading = dataclasses.replace(loading, tones=_tones(rows, loading))
    _say_order(rows, loading.say)
    _say_voxel_sizes(rows, loading.say)
    given = _examples(rows, class_names, loading, of_clips, tables)
    targets = CLASSES if tables is None else Targets("steps")
    values = functools.partial(_values, rows)
    dataset = make_dataset(
        path, class_names, given, of_clips, loading, targets=targets, values=values
    )
    return dataclasses.replace(dataset, tones=loading.tones)


def _read_headers(path: Path, show_progress: bool) -> None:
    """Shows how the headers of DICOM files are read, which `find_examples` needs and are kept."""
    files = [file for file in path.rglob("*") if is_dicom(file)] if show_progress else []
    for file in tqdm(files, unit="header", disable=not files, leave=False):
        try:
            dicom_header(file)
        except UnreadableImageError:  # It is named where it is read.
            continue


def _tones(rows: list[Row], loading: Loading) -> Tones:
    """Those of the training files."""
    files = list(_all_files(_training_rows(rows, loading)))
    how = f"tones {loading.tones!r} {loading.percentiles}"
    kept = scan_path(loading.cache_dir, files, how) if loading.cache_dir else None
    return tones_of(
        files, loading.tones, kept, loading.say, loading.percentiles, loading.show_progress
    )


def _values(rows: list[Row]) -> Range | None:
    return extremes_of(list(_all_files([row for row in rows if row.split == "train"])))


def _training_rows(rows: list[Row], loading: Loading) -> list[Row]:
    """The rows of the training split, as far as their values matter to the range of the set.

    Where the split is cut by content, deep ones are decoded for it: their content does not depend
    on that range. Others keep their places, since they say nothing about it.
    """
    train = [row for row in rows if row.split == "train"]
    given = {row.split for row in rows}
    fractions = [
        0.0 if split in given else fraction
        for split, fraction in (
            ("validation", loading.validation_fraction),
            ("test", loading.test_fraction),
        )
    ]
    if not any(fractions) or loading.tones.value_range:
        return train
    if train[0].group:
        places = [fraction_of_group(row.group) for row in train]
    else:
        places = _deep_fractions(train, loading)
    found = zip(train, places, strict=True)
    return [row for row, place in found if side_of(place, *fractions) == "train"] or train


def _deep_fractions(rows: list[Row], loading: Loading) -> list[float]:
    """`fraction_of` each row that is deep or transparent; 1, which is training, of others."""
    files = list(_all_files(rows))
    kept = scan_path(loading.cache_dir, files, "fractions") if loading.cache_dir else None
    found = load_json(kept)
    if isinstance(found, list) and len(found) == len(rows):
        return [float(one) for one in found]
    fractions = []
    for row in tqdm(rows, unit="file", disable=not loading.show_progress, leave=False):
        try:
            if all((head := header_of(file)) and head.is_plain for file in _all_files([row])):
                fractions.append(1.0)
                continue
            content = Content()
            frames = read_frames(row.path, loading.size[:2], FILE_BY_FILE, None, content)
            fractions.append(fraction_of(frames, content))
        except UnreadableImageError:
            fractions.append(1.0)
    if kept:
        save_json(kept, fractions)
    return fractions


def _say_order(rows: list[Row], say: Callable[[str], None]) -> None:
    """Says which folders of DICOM slices have no positions to be ordered by."""
    without = []
    for row in rows:
        first = next(iter(frame_files(row.path)), None) if row.path.is_dir() else None
        try:
            if first and is_dicom(first) and dicom_header(first).place.position is None:
                without.append(shown(row.path))
        except UnreadableImageError:
            continue
    if without:
        say(f"slices without positions, in the order of their instance numbers: {few(without)}")


def _say_voxel_sizes(rows: list[Row], say: Callable[[str], None]) -> None:
    """Says which voxel sizes there are, where they differ: nothing is resampled."""
    of_size: dict[str, list[str]] = {}
    for row in rows:
        first = next(iter(frame_files(row.path)), None) if row.path.is_dir() else row.path
        try:
            size = voxel_size(first) if first and is_volume(first) else None
        except UnreadableImageError:
            continue
        if size:
            of_size.setdefault(" x ".join(f"{one:g}" for one in size), []).append(shown(row.path))
    if len(of_size) > 1:
        found = [f"{len(names)} of {size}, such as {names[0]}" for size, names in of_size.items()]
        say(f"voxel sizes differ, and none is resampled: {few(found, between='; ')}")


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
    tables: list[StepTable] | None = None,
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
    for number, (row, found) in enumerate(zip(rows, scans, strict=True)):
        split, class_name, file, group = row
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
            targets = tables[number].of_frames(found.shape[0])
            label = np.array([labels.get(target, UNKNOWN) for target in targets], np.int32)
        fraction = fraction_of_group(group) if group else found.fraction
        given[split].append(Example(shown(file), shape, label, fraction, found.pixels, read, group))
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
