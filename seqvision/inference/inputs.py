"""Inputs to predict: image files, clips, arrays in `.npz` files, images of lines."""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqvision.config.user_path import expanded
from seqvision.data.files.clips import frame_files, is_animated, kind_of, read_clip
from seqvision.data.files.deep import DeepPixels
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.feature_files import read_features
from seqvision.data.files.images import A_CLIP, background_of
from seqvision.data.files.line_look import Looks
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, shown
from seqvision.data.files.pixels import fit
from seqvision.data.files.tones import FILE_BY_FILE, Range, Tones, range_of_file
from seqvision.data.files.videos import VIDEO_SUFFIXES
from seqvision.data.files.volumes import is_volume
from seqvision.data.sources.array_values import bytes_of
from seqvision.data.sources.line_reading import read_line
from seqvision.data.sources.npz_file import example_frames, read_npz
from seqvision.data.sources.npz_memory_map import extremes
from seqvision.errors import UserError

_IMAGE_KEYS = ("images", "train_images", "val_images", "validation_images", "test_images")
# So many examples of an array show which background it has.
_SAMPLE = 100
_LENGTH_KEYS = tuple(key.replace("images", "lengths") for key in _IMAGE_KEYS)


class Input(NamedTuple):
    """An image, clip or line of the user's; of `array` and `error` one is None.

    Attributes:
      name: its file, and where that has several examples its place, such as `set.npz[0]`.
      array: its pixels, uint8; of features float32.
      error: why it cannot be read.
      doubt: what about it is unlike the training images, see `data.files.doubts`.
    """

    name: str
    array: np.ndarray | None
    error: str | None
    doubt: str | None = None


ReadFiles = Callable[[Iterable[Path]], Iterator[Input]]
"""Reads files one by one, as they are asked for; it can be pickled."""


def check_pattern(pattern: str) -> int:
    """The number of files and folders that match; refuses what is a mistake for every run.

    Raises:
      UserError: the pattern is empty, or nothing matches it.
    """
    if not pattern:
        raise UserError("--inputs: missing; name what to read, such as --inputs='digits/*.png'")
    if not (matching := _matching(pattern)):
        parts = [part for part in re.split(r"[\s,;'\"\[\]()]+", pattern) if part]
        found = [bool(_matching(part)) for part in parts]
        named = [bool(Path(part).suffix) or "*" in part for part in parts]
        if len(parts) > 1 and any(found) and (all(found) or all(named)):
            raise UserError(
                f"--inputs: '{shown(pattern)}' is a list, and one pattern is taken; put the files"
                " into one folder, such as --inputs='digits/*.png', or run again for each"
            )
        raise _no_match(pattern, "file", "digits/*.png")
    return len(matching)


def find_inputs(pattern: str, of_clips: bool) -> list[Path]:
    """The files that match, in the order of their names.

    Args:
      pattern: a glob pattern, such as `digits/*.png`; see `_matching`.
      of_clips: folders that hold images are clips, and found too (their frames are not).

    Raises:
      UserError: nothing matches.
    """
    matches = [Path(name) for name in sorted(_matching(pattern))]
    folders = {path: _frames_of(path) for path in matches if path.is_dir()}
    clips = {path: frames for path, frames in folders.items() if of_clips and frames is not None}
    frames = {path for inside in clips.values() for path in inside}
    paths = [p for p in matches if p in clips or not (p in folders or p in frames)]
    if not paths:
        kind, example = ("clip", "clips/*") if of_clips else ("file", "digits/*.png")
        raise _no_match(pattern, kind, example)
    return paths


def _matching(pattern: str) -> list[str]:
    """What a pattern matches, in any order; `~` is the home folder.

    Where files or folders have `[` in their names, it stands for itself: `img[1].png` is then that
    file, and not `img1.png`.
    """
    path = expanded(pattern, "--inputs")
    known = next((one for one in (path, *path.parents) if os.path.lexists(one)), Path())
    rest, there = path.relative_to(known).parts, glob.escape(str(known))
    if "**" in rest:
        _check_links(known)
    for ending in ([_literal(part) for part in rest], rest):
        found = glob.glob(str(Path(there, *ending)), recursive=True)
        if found:
            return found
    return []


def _check_links(folder: Path, around: frozenset[tuple[int, int]] = frozenset()) -> None:
    """Refuses links round which `**` would go: it would find a file many times, or never end."""
    try:
        stat = folder.stat()
        inside = [Path(entry) for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:  # No folder, or no permission.
        return
    if (stat.st_dev, stat.st_ino) in around:
        raise UserError(
            f"--inputs: {shown(folder)} is a link to a folder around it, and ** would go round;"
            " remove the link, or write a pattern without **"
        )
    for entry in inside:
        if not entry.name.startswith("."):
            _check_links(entry, around | {(stat.st_dev, stat.st_ino)})


def _literal(text: str) -> str:
    return text.replace("[", "[[]")


def _no_match(pattern: str, kind: str, example: str) -> UserError:
    if Path(pattern).is_dir():
        example = f"{pattern.rstrip('/')}/*"
        within = [Path(path) for path in glob.glob(f"{glob.escape(pattern)}/*")]
        if kind == "file" and within and all(path.is_dir() for path in within):
            example += "/*"
    return UserError(
        f"--inputs: no {kind} matches '{shown(pattern)}' in {Path.cwd()}; write a pattern, such as"
        f" '{shown(example)}'"
    )


def read_inputs(
    paths: Iterable[Path],
    input_shape: tuple[int, ...],
    of_clips: bool,
    read_image_file: Callable[[Path], np.ndarray],
    background: str = "mixed",
    invert: str = "never",
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
) -> Iterator[Input]:
    """Reads inputs one by one, as they are asked for.

    A `.npz` file is as many inputs as it has examples, named `set.npz[0]` or
    `set.npz:test_images[0]` and so on.

    Args:
      paths: from `find_inputs`.
      input_shape: ends in the height, width and channels that the network reads.
      of_clips: whether it reads clips, or images.
      read_image_file: reads one image and refuses clips (see `data.files.images.read_image`).
      background: of the training images, for arrays.
      invert: of arrays and clips: `always`, `never`; of arrays also `auto`: where the borders of
        most of its images are light and those of the training images dark, or the other way round.
      tones: of the clips that the network was trained on.
      doubts: what `read_image_file` tells, too; each input is given what was found about it.

    Yields:
      Arrays (height, width, channels) or, of a clip, (t, height, width, channels) with all frames
      that it has.

    Raises:
      UserError: there are videos, and PyAV is not installed.
    """
    doubts = doubts or Doubts()
    for path in paths:
        name = shown(path)
        if path.suffix.lower() == ".npz":
            yield from _npz_inputs(path, input_shape, of_clips, background, invert, tones, doubts)
            continue
        try:
            if of_clips:
                if kind_of(path) == "image":
                    raise UnreadableImageError(
                        "a single image; this run reads clips: a folder of frames, a GIF or a video"
                    )
                array = read_clip(path, input_shape, tones, doubts)
                array = 255 - array if invert == "always" else array
            else:
                if path.suffix.lower() in VIDEO_SUFFIXES:
                    raise UnreadableImageError(A_CLIP)
                array = read_image_file(path)
            yield Input(name, array, None, doubts.taken())
        except UnreadableImageError as error:
            doubts.taken()
            yield Input(name, None, str(error))


def read_lines(
    paths: Iterable[Path], height: int, invert: str, looks: Looks | None = None
) -> Iterator[Input]:
    """Reads images of lines one by one, as they are asked for: (height, any width, 1) each.

    Args:
      paths: from `find_inputs`.
      height, invert, looks: see `data.sources.line_reading.read_line`.
    """
    for path in paths:
        try:
            _refuse_volume(path)
            if path.suffix.lower() in (".npz", *VIDEO_SUFFIXES) or is_animated(path):
                raise UnreadableImageError("no single image; this run reads images of lines")
            yield Input(shown(path), read_line(path, height, invert, looks), None)
        except UnreadableImageError as error:
            yield Input(shown(path), None, str(error))


def read_feature_inputs(paths: Iterable[Path], num_features: int) -> Iterator[Input]:
    """Reads clips of features one by one, as they are asked for: (frames, 1, 1, D) each.

    Args:
      paths: of `.npy` and `.npz` files of one clip each.
      num_features: D.
    """
    for path in paths:
        try:
            features = read_features(path, num_features)
            yield Input(shown(path), features[:, None, None], None)
        except UnreadableImageError as error:
            yield Input(shown(path), None, str(error))


def _refuse_volume(path: Path) -> None:
    if is_volume(path):
        raise UnreadableImageError(
            "a DICOM, NIfTI or .npy file; lines are read from pictures, such as PNG: save it as one"
        )


def _frames_of(folder: Path) -> list[Path] | None:
    """The images in a folder; [] where it is empty or unreadable; None where it holds others."""
    try:
        return frame_files(folder) or (None if any(folder.iterdir()) else [])
    except OSError:  # No permission: reading it gives the error.
        return []


def _is_swapped(examples: Sequence[np.ndarray], background: str) -> bool:
    """Whether the borders of an array's examples are light on a dark background, or vice versa."""
    own = background_of(np.concatenate(examples))
    return own != "mixed" and own != background


def _ranges_of(examples: Sequence[np.ndarray], tones: Tones) -> tuple[Range, ...]:
    """The ranges of an array of more than 8 bits: of the run, else of the array; () of uint8."""
    if not examples or examples[0].dtype == np.uint8:
        return ()
    return tones.ranges or (range_of_file(max(extremes(one)[1] for one in examples)),)


def _npz_inputs(
    path: Path,
    input_shape: tuple[int, ...],
    of_clips: bool,
    background: str,
    invert: str,
    tones: Tones,
    doubts: Doubts,
) -> Iterator[Input]:
    """The examples of `images`, or of each array such as `test_images` (MedMNIST's names)."""
    name = shown(path)
    try:
        file = read_npz(path, _IMAGE_KEYS + _LENGTH_KEYS, large=_IMAGE_KEYS)
        present = [key for key in _IMAGE_KEYS if key in file.arrays]
        if not present:
            found = few([shown(key) for key in file.keys])
            raise UserError(f"no 'images' in it; it has {found or 'nothing'}")
        for key in present:
            lengths = file.arrays.get(key.replace("images", "lengths"))
            kind = "clips" if of_clips else "images"
            examples, _ = example_frames(key, file.arrays[key], lengths, kind)
            where = name if key == "images" else f"{name}:{file.own_names.get(key, key)}"
            if not examples:
                yield Input(where, None, "no examples in it")
            size = input_shape[-3:]
            for number, one in enumerate(
                _array_inputs(examples, size, of_clips, background, invert, tones, doubts)
            ):
                yield one._replace(name=f"{where}[{number}]")
    except UserError as error:
        yield Input(name, None, str(error).removeprefix(f"{name}: "))


def _array_inputs(
    examples: Sequence[np.ndarray],
    size: tuple[int, ...],
    of_clips: bool,
    background: str,
    invert: str,
    tones: Tones,
    doubts: Doubts,
) -> Iterator[Input]:
    """The examples of an array, nameless; those of more than 8 bits by the scale of the run."""
    ranges = _ranges_of(examples, tones)

    def as_bytes(values: np.ndarray) -> np.ndarray:
        return bytes_of(values, ranges) if ranges else values

    swapped = invert == "always"
    if invert == "auto" and background != "mixed" and examples:
        swapped = _is_swapped([as_bytes(one) for one in examples[:_SAMPLE]], background)
    for values in examples:
        try:
            frames = as_bytes(values)
        except UserError as error:
            yield Input("", None, str(error))
            continue
        height, width, channels = size
        fitted = fit(255 - frames if swapped else frames, height, width, channels)
        if not of_clips:
            doubts.of_shape(frames[0])
        if tones.value_range and ranges:
            doubts.of_values([DeepPixels(values, None)], ranges)
        elif tones.value_range:
            doubts.of_8_bits(tones.value_range)
        doubts.of_levels(frames)
        yield Input("", fitted if of_clips else fitted[0], None, doubts.taken())
