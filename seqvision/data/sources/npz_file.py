"""Arrays of images and clips in `.npz` files, and the meaning of their axes."""

import dataclasses
import hashlib
import math
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.data.files.opening import MOST_BYTES
from seqvision.data.files.paths import few, shown
from seqvision.data.sources.npz_memory_map import find_member, map_member
from seqvision.data.sources.npz_names import own_names
from seqvision.errors import UserError, explain_os_error, first_line
from seqvision.runtime.regular_file import open_regular

_AXES = {
    "images": "(N, height, width) or (N, height, width, 1 or 3)",
    "clips": "(N, T, height, width) or (N, T, height, width, 1 or 3)",
}


@dataclasses.dataclass(frozen=True)
class NpzFile:
    """What was read of a `.npz` file.

    Attributes:
      path: where it lies.
      keys: the names of all that is in it, ours where it has others; see `npz_names`.
      arrays: those that were wanted.
      stamp: size and time of modification, where some of the arrays stay in the file; else None.
      own_names: from our names to the file's, where they differ.
      checksums: SHA-256 of the zip's checksums of the arrays, which it has without reading them.
    """

    path: Path
    keys: Collection[str]
    arrays: dict[str, np.ndarray]
    stamp: tuple[int, int] | None = None
    checksums: str = ""
    own_names: dict[str, str] = dataclasses.field(default_factory=dict)

    def check_unchanged(self) -> None:
        """Raises UserError where arrays stay in the file, and it is not what it was."""
        try:
            found = _stamp(self.path) if self.stamp else None
        except OSError as error:
            raise UserError(
                f"{shown(self.path)}: cannot be read any more ({error.strerror}); bring it back,"
                " then run the same command again: training goes on from its last checkpoint"
            ) from error
        if found != self.stamp:
            raise UserError(
                f"{shown(self.path)}: it changed while it was read; bring back what it was, then"
                " run the same command again: training goes on from its last checkpoint"
            )

    def check_whole(self) -> None:
        """Raises UserError where an array that stays in the file does not have its checksum."""
        with zipfile.ZipFile(self.path) as archive:
            for key in self.keys if self.stamp else ():
                name = f"{self.own_names.get(key, key)}.npy"
                with archive.open(name) as file:
                    try:
                        while file.read(2**20):
                            pass
                    except zipfile.BadZipFile as error:
                        raise UserError(
                            f"{shown(self.path)}: damaged ({first_line(error)}); copy it or make"
                            " it again"
                        ) from error

    def check_has(self, *keys: str) -> None:
        """Raises UserError where one of these is missing."""
        for key in keys:
            if key not in self.keys:
                found = few([shown(name) for name in self.keys], 12) or "nothing"
                raise UserError(
                    f"{shown(self.path)}: no '{key}' in it; it has {found}; needed are images and"
                    " labels, or train_images and train_labels (and the same of val and test)"
                )


def read_npz(
    path: Path,
    wanted: Collection[str],
    large: Collection[str] = (),
    resident_bytes: float = MOST_BYTES,
    or_raise: str = "",
) -> NpzFile:
    """Reads those arrays of a file that are wanted; others may be anything.

    Args:
      path: the file.
      wanted: the names of the arrays.
      large: those of them that stay in the file where they would be more than `resident_bytes`
        together.
      resident_bytes: see `large`; other arrays may have MOST_BYTES each.
      or_raise: the field that `resident_bytes` comes from, for errors.

    Raises:
      UserError: it is missing, damaged, too large, no `.npz` file, or an array is made of Python
        objects.
    """
    where = shown(path)
    if path.is_dir():
        raise UserError(f"{where}: a folder, where a .npz file is needed (config.data.path)")
    try:
        # Opened here: np.load leaves a damaged file open.
        with open_regular(path) as file:
            start = file.read(6)
            file.seek(0)
            if not start.startswith(b"PK"):
                kind = "a .npy file, of one array" if start == b"\x93NUMPY" else "no .npz file"
                raise UserError(
                    f"{where}: {kind}; save with np.savez('set.npz', images=..., labels=...)"
                )
            with np.load(file, allow_pickle=False) as members:
                names = _own_names(where, members)
                ours = {own: name for name, own in names.items()}
                keys = [ours.get(key, key) for key in members]
                arrays = _mapped(path, members.zip, large, resident_bytes, names, or_raise)
                held = [names.get(key, key) for key in wanted if key not in (*arrays, *large)]
                _check_sizes(where, members.zip, held)
                stamp = _stamp(path) if arrays else None
                checksums = _checksums(members.zip, [names.get(key, key) for key in wanted])
                for key in keys:
                    if key in wanted and key not in arrays:
                        arrays[key] = _array(where, members, names.get(key, key))
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{where}: no such file; check config.data.path") from error
    except MemoryError as error:
        raise UserError(f"{where}: does not fit into memory; save fewer examples") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    except Exception as error:  # Of zipfile, zlib and numpy: any kind.
        raise UserError(
            f"{where}: damaged ({first_line(error)}); copy it or make it again"
        ) from error
    return NpzFile(path, keys, arrays, stamp, checksums, names)


def _own_names(where: str, members: Any) -> dict[str, str]:
    def axes_of(key: str) -> int:
        member = find_member(members.zip, key)
        return len(member.shape) if member else np.ndim(members[key])

    try:
        return own_names(list(members), axes_of)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _mapped(
    path: Path,
    archive: zipfile.ZipFile,
    keys: Collection[str],
    resident_bytes: float,
    names: Mapping[str, str],
    or_raise: str,
) -> dict[str, np.ndarray]:
    """Memory maps of these arrays, where they are too large for memory; else none."""
    members = {
        key: member
        for key in keys
        if (member := find_member(archive, names.get(key, key))) is not None
    }
    if sum(member.num_bytes for member in members.values()) <= resident_bytes:
        return {}
    return {key: map_member(path, key, member, or_raise) for key, member in members.items()}


def _check_sizes(where: str, archive: zipfile.ZipFile, keys: Collection[str]) -> None:
    """Refuses arrays that would fill the memory: labels, lengths and names are small."""
    for info in archive.infolist():
        if info.file_size > MOST_BYTES and info.filename.removesuffix(".npy") in keys:
            raise UserError(
                f"{where}: '{shown(info.filename)}' takes {info.file_size:,} bytes; up to"
                f" {MOST_BYTES:,} are read"
            )


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _checksums(archive: zipfile.ZipFile, keys: Collection[str]) -> str:
    members = [(i.filename, i.file_size, i.CRC) for i in archive.infolist()]
    known = sorted(member for member in members if member[0].removesuffix(".npy") in keys)
    return hashlib.sha256(repr(known).encode()).hexdigest()


def _array(where: str, members: Mapping[str, Any], key: str) -> np.ndarray:
    try:
        array = members[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise UserError(
            f"{where}: '{key}' holds Python objects, which are not loaded; save one array of"
            " numbers or of strings"
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{where}: '{key}' is no array; save it with np.savez")
    return array


def example_frames(
    where: str, images: np.ndarray, lengths: np.ndarray | None, kind: str
) -> tuple[list[np.ndarray], bool]:
    """Takes an array apart into its examples.

    Args:
      where: the file and the array, for errors.
      images: real numbers, images (N, h, w) or (N, h, w, 1 or 3), or clips (N, T, h, w) or
        (N, T, h, w, 1 or 3).
      lengths: (N,), how many frames of each clip count; None for all.
      kind: `images`, `clips`, or `auto`, which takes four axes for images where the last one is 1
        or 3, else for clips.

    Returns:
      (t, h, w, channels) of each example (an image is one frame), and whether they are clips.

    Raises:
      UserError: other axes or types, or lengths that are not 1 to T.
    """
    if images.dtype.kind not in "biuf":
        raise UserError(
            f"{where} is {images.dtype}; whole numbers and floats are read: uint8 as 0 (black) to"
            " 255, others by one scale for the whole set (config.data.value_range)"
        )
    allowed = [f"{name} are {axes}" for name, axes in _AXES.items() if kind in (name, "auto")]
    if kind == "auto":
        kind = _kind(where, images.shape, lengths)
    axes = images.ndim + (kind == "images")  # As if an image were a clip without a time axis.
    if not (axes == 4 or (axes == 5 and images.shape[-1] in (1, 3))) or 0 in images.shape[1:]:
        hint = ""
        if axes == 5 and images.shape[-3] in (1, 3):
            hint = "; channels come last: save np.moveaxis(images, -3, -1)"
        if images.ndim == 2:
            hint = f"; {_unflattened(images.shape[1])}"
        raise UserError(f"{where} has the shape {images.shape}; {'; '.join(allowed)}{hint}")
    if kind == "images" and lengths is not None:
        raise UserError(
            f"{where} of the shape {images.shape} are single images, which have no lengths; leave"
            " the lengths out, or set config.data.kind = 'clips' if these are clips"
        )
    if axes == 4:
        images = images[..., None]
    if kind == "images":
        return [image[None] for image in images], False
    if lengths is None:
        return list(images), True
    numbers = _checked_lengths(where, images.shape, lengths)
    return [clip[:length] for clip, length in zip(images, numbers, strict=True)], True


def _unflattened(size: int) -> str:
    """How rows of `size` values become images."""
    ways = []
    if (side := math.isqrt(size)) ** 2 == size:
        ways.append(
            f"if each row is an image of {side} x {side}, save .reshape(-1, {side}, {side})"
        )
    if size % 3 == 0 and (side := math.isqrt(size // 3)) ** 2 * 3 == size:
        ways.append(
            f"if each row is an image of {side} x {side} in colour, save .reshape(-1, {side},"
            f" {side}, 3), or, with all red values first, .reshape(-1, 3, {side},"
            f" {side}).transpose(0, 2, 3, 1)"
        )
    way = f"save .reshape(-1, height, width), where height times width is {size}"
    return "; ".join(ways) or f"if each row is an image, {way}"


def _kind(where: str, shape: tuple[int, ...], lengths: np.ndarray | None) -> str:
    if len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3)):
        return "images"
    # The longest clip tells which axis is time.
    known = lengths is not None and lengths.size and lengths.dtype.kind in "iu"
    longest = int(np.max(lengths)) if lengths is not None and known else 0
    if len(shape) in (4, 5) and longest != shape[1]:
        _check_axes(where, shape)
    if len(shape) == 4 and shape[1] in (1, 3) and lengths is None:
        raise UserError(
            f"{where} has the shape {shape}: if its second axis is channels, save"
            " np.moveaxis(images, 1, -1); if it is time, set config.data.kind = 'clips'"
        )
    return "clips"


def _check_axes(where: str, shape: tuple[int, ...]) -> None:
    """Refuses what would be read as clips, and looks like channels or time in another place."""
    force = "if it is (N, T, height, width), set config.data.kind = 'clips'"
    first, second, third = shape[1:4]
    if len(shape) == 4 and third in (2, 4):
        colour = "np.ascontiguousarray(images[..., :3])" if third == 4 else "one or three of them"
        raise UserError(
            f"{where} has the shape {shape}: if its last axis is {third} channels, save {colour};"
            f" {force}"
        )
    # Frames are rarely so narrow, or there are two equal sides without channels behind them.
    if (len(shape) == 4 and first == second != third) or 2 * third <= min(first, second):
        axis = -1 if len(shape) == 4 else -2
        raise UserError(
            f"{where} has the shape {shape}: if axis 3 (of {third}) is time, which comes"
            f" before height and width, save np.moveaxis(images, {axis}, 1); {force}"
        )


def _checked_lengths(where: str, shape: tuple[int, ...], lengths: np.ndarray) -> list[int]:
    count, longest = shape[:2]
    if lengths.size != count or lengths.shape[:1] != (count,) or lengths.dtype.kind not in "iu":
        raise UserError(
            f"{where}: its lengths are {lengths.dtype} {lengths.shape}; whole numbers ({count},)"
            " are needed"
        )
    lengths = lengths.reshape(count)
    wrong = np.flatnonzero((lengths < 1) | (lengths > longest))
    if len(wrong):
        raise UserError(
            f"{where}: the length of example {wrong[0]} is {lengths[wrong[0]]}; lengths are 1 to"
            f" {longest}, the frames that there are"
        )
    return lengths.tolist()
