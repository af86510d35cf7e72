"""Places of the examples of arrays in the splits: by their content or group, and their scale."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from seqvision.data.files.paths import shown
from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.data.sources.array_values import are_deep, fraction_of_values, tones_of_arrays
from seqvision.data.sources.groups import fraction_of_group, groups_line
from seqvision.data.sources.hash_split import fraction_of, side_of
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz_file import NpzFile
from seqvision.data.sources.scan_cache import FileScan, load_scan, save_scan, scan_path
from seqvision.errors import UserError

Clips = Mapping[str, Sequence[np.ndarray]]
"""(t, height, width, channels) of each example, by what stands before `images` in the file."""


class Place(NamedTuple):
    """Where an example belongs.

    Attributes:
      fraction: of its group, if it has one, else of its content; see `hash_split`.
      content: of its content; 0 where nobody asks.
      group: "" for none.
    """

    fraction: float
    content: float
    group: str


def places_of(file: NpzFile, clips: Clips, loading: Loading) -> dict[str, list[Place]]:
    """The place of each example.

    Raises:
      UserError: groups of another number or type.
    """
    contents = {prefix: [0.0] * len(found) for prefix, found in clips.items()}
    if loading.validation_fraction or loading.test_fraction or len(clips) > 1:
        contents = _contents(file, clips, loading)
    places, every = {}, list[str]()
    for prefix, found in contents.items():
        where = shown(file.path)
        groups = groups_of_array(where, f"{prefix}groups", file.arrays, len(found))
        every += groups
        places[prefix] = [
            Place(fraction_of_group(group) if group else content, content, group)
            for content, group in zip(found, groups, strict=True)
        ]
    if any(every):
        loading.say(groups_line([group for group in every if group]))
    return places


def tones_of_splits(
    where: str,
    clips: Clips,
    splits: Mapping[str, str],
    places: Mapping[str, Sequence[Place]],
    loading: Loading,
) -> Tones:
    """The scale of a set: over the examples that are going to be the training split.

    Args:
      where: the file, for errors.
      clips, splits, places: of each prefix its examples, the name of its split, their places.

    Raises:
      UserError: see `array_values`.
    """
    stated, given = loading.tones, splits.values()
    text = ",".join(f"{value:g}" for value in stated.value_range or loading.percentiles or ())
    types = {f"{prefix}images": found[0].dtype for prefix, found in clips.items() if found}
    validation = 0.0 if "validation" in given else loading.validation_fraction
    test = 0.0 if "test" in given else loading.test_fraction
    prefix = next(prefix for prefix, split in splits.items() if split == "train")
    try:
        if not are_deep(types, stated.chosen or text):
            return FILE_BY_FILE
        training = [
            clip
            for clip, place in zip(clips[prefix], places[prefix], strict=True)
            if side_of(place.fraction, validation, test) == "train"
        ]
        return tones_of_arrays(training or clips[prefix], stated, loading.percentiles)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _contents(file: NpzFile, clips: Clips, loading: Loading) -> dict[str, list[float]]:
    """See `hash_split.fraction_of`. All examples are read for it, unless a scan was kept."""
    kept = None
    if loading.cache_dir and file.stamp:
        kept = scan_path(loading.cache_dir, [file.path])
    every = [clip for found in clips.values() for clip in found]
    shapes = [clip.shape for clip in every]  # A file may be read as images, then as clips.
    scans = load_scan(kept, lambda scans: [one.shape for one in scans] == shapes)
    if scans is None:
        scans = []
        for clip in tqdm(every, unit="example", disable=not loading.show_progress, leave=False):
            of = fraction_of(clip) if clip.dtype == np.uint8 else fraction_of_values(clip)
            scans.append(FileScan(clip.shape, of, of))
        save_scan(kept, scans, loading.say)
    found = iter(one.fraction for one in scans)
    return {prefix: list(itertools.islice(found, len(clips[prefix]))) for prefix in clips}


def groups_of_array(
    where: str, name: str, arrays: Mapping[str, np.ndarray], count: int
) -> list[str]:
    """The groups of a split's examples; "" for each where there is no such array.

    Raises:
      UserError: groups of another number or type, or an empty one.
    """
    array = arrays.get(name)
    if array is None:
        return [""] * count
    if array.shape not in ((count,), (count, 1)) or array.dtype.kind not in "iuUS":
        raise UserError(
            f"{where}: {name} is {array.dtype} {array.shape}; a whole number or a string for each"
            f" of {count} examples is needed"
        )
    texts = [f"{one.decode() if isinstance(one, bytes) else one}" for one in array.ravel().tolist()]
    if "" in texts:
        raise UserError(
            f"{where}: {name} is empty for {texts.count('')} of {count} examples, such as number"
            f" {texts.index('')}; name a group for each, or leave {name} out"
        )
    return texts
