"""The layout of a set of class folders: which folders are splits, classes, clips, or groups."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from seqvision.data.alphabet import normalized
from seqvision.data.dataset import SPLITS
from seqvision.data.files.clips import (
    frame_files,
    kind_of,
    size_in_header,
)
from seqvision.data.files.paths import few, natural_key, shown, visible
from seqvision.data.sources.set_root import (
    check_classes,
    folders_in,
    holds_media,
    is_media,
    set_root,
    split_root,
)
from seqvision.data.sources.split_names import split_folders, split_of
from seqvision.data.sources.step_tables import table_path
from seqvision.errors import UserError, explain_os_error

# So many folders of each set are opened to see whether their images are frames.
_MOST_OPENED = 100


class Row(NamedTuple):
    """An example: its split, its class and where it lies."""

    split: str
    class_name: str
    path: Path


class _ClassFolder(NamedTuple):
    """A class, or the part of it in a split.

    Attributes:
      entries: images, GIFs and videos, and the folders in it that hold images or nothing.
      others: all other files.
    """

    split: str
    path: Path
    name: str
    entries: list[Path]
    others: list[Path]


def find_examples(
    path: Path, kind: str, reads_clips: bool, say: Callable[[str], None]
) -> tuple[list[Row], bool]:
    """The examples of a folder of class folders: each split's by their classes, in natural order.

    Args:
      path: holds `CLASS`, `SPLIT/CLASS` or `CLASS/SPLIT`, perhaps further down, see `set_root`.
      kind: what folders of images inside a class folder are: `clips`, `images` (groups of single
        images, at any depth), or `auto`: clips where the network reads clips, or where they hold
        numbered series of images of one size.
      reads_clips: whether the network reads clips.
      say: called with lines about what was decided and what is left out.

    Returns:
      The examples, and whether they are clips.

    Raises:
      UserError: no such folder, no classes, an unclear level of splits, images among clips.
    """
    try:
        path = set_root(path, say)
        classes = list(_class_folders(path, say))
        if kind == "auto":
            _check_level(path, classes, reads_clips, say)
        of_folders = _folders_hold(classes, kind, reads_clips, say)
        rows = []
        others = [file for one in classes for file in one.others]
        others += [entry for entry in visible(path) if not entry.is_dir()]
        empty = []
        for one in classes:
            files = list(_examples(one.entries, of_folders, others))
            rows += [Row(one.split, one.name, file) for file in files]
            if not files:
                empty.append(one)
    except FileNotFoundError as error:
        raise UserError(f"{shown(path)}: no such folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    for split in {one.split: None for one in classes} or {"train": None}:
        if not any(row.split == split for row in rows):
            inside = [one.path.parent for one in classes if one.split == split] or [path]
            raise _no_classes(inside[0])
    if empty:
        named = few([shown(one.path) for one in empty])
        say(f"folders without images or clips, left out: {named}")
    # Tables of targets are read, see `step_tables`.
    tables = {table_path(row.path) for row in rows} if others else set()
    others = [file for file in others if file not in tables]
    if others:
        say(f"other files left out, {_by_suffix(others)}: such as {shown(others[0])}")
    return rows, _of_clips(path, rows, kind, reads_clips)


def _no_classes(folder: Path) -> UserError:
    return UserError(
        f"{shown(folder)}: no class folders with images or clips in it; put them into one folder"
        f" for each class, such as {shown(folder / 'CLASS' / 'file.png')}"
    )


def _class_folders(path: Path, say: Callable[[str], None]) -> Iterator[_ClassFolder]:
    """The classes of all splits: of `path/CLASS` as `train` where there are no splits."""
    folders = folders_in(path)
    # What holds no images (`annotations`, `__MACOSX`) says nothing about the level.
    known = [folder for folder in folders if split_of(folder.name) or holds_media(folder)]
    splits = split_folders(shown(path), known)
    if splits:
        usual = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
        if any(folder.name.lower() not in usual[name] for name, folder in splits.items()):
            say(f"splits: {_named(splits)}")
        for folder in folders:
            if folder not in splits.values():
                say(f"folders without images or clips, left out: {shown(folder)}")
        for split, folder in splits.items():
            folder = split_root(folder, split, say)
            found = [_class_folder(split, inside, inside) for inside in folders_in(folder)]
            if not found:
                raise _no_classes(folder)
            strays = [entry for entry in visible(folder) if not entry.is_dir()]
            found[0].others.extend(strays)
            yield from sorted(found, key=lambda one: natural_key(one.name))
        return
    inner = _splits_in_classes(folders)
    for split in SPLITS if inner else ():
        for folder in folders:
            if split in inner[folder]:
                yield _class_folder(split, folder, inner[folder][split])
    if inner:
        say(f"splits inside each class folder: {_named(inner[folders[0]])}")
        return
    check_classes(path, [folder for folder in folders if holds_media(folder)])
    found = [_class_folder("train", folder, folder) for folder in folders]
    yield from sorted(found, key=lambda one: natural_key(one.name))


def _named(splits: dict[str, Path]) -> str:
    return ", ".join(
        name if splits[name].name == name else f"{shown(splits[name].name)} as {name}"
        for name in SPLITS
        if name in splits
    )


def _splits_in_classes(folders: list[Path]) -> dict[Path, dict[str, Path]]:
    """The splits in each class folder, where all of them hold splits and nothing else."""
    found = {}
    for folder in folders:
        inside = folders_in(folder)
        try:
            splits = split_folders(shown(folder), inside)
        except UserError:  # Folders that only happen to have such names.
            return {}
        if len(splits) < 2 or any(is_media(entry) for entry in visible(folder)):
            return {}
        found[folder] = splits
    return found


def _class_folder(split: str, named: Path, folder: Path) -> _ClassFolder:
    entries: list[Path] = []
    others: list[Path] = []
    _gather(folder, entries, others, ())
    return _ClassFolder(split, folder, _class_name(named), entries, others)


def _gather(folder: Path, entries: list[Path], others: list[Path], above: tuple[Path, ...]) -> None:
    above = (*above, folder.resolve())
    for entry in visible(folder):
        if not entry.is_dir():
            (entries if is_media(entry) else others).append(entry)
        elif entry.resolve() in above:  # A link back to a folder that it lies in.
            others.append(entry)
        elif frame_files(entry) or not holds_media(entry, above):
            entries.append(entry)
        else:
            _gather(entry, entries, others, above)


def _class_name(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{shown(folder)}: its name is not UTF-8; rename it to the name of the class"
        ) from error
    # macOS writes é as two characters, others as one.
    return normalized(folder.name)


def _check_level(
    path: Path, classes: list[_ClassFolder], reads_clips: bool, say: Callable[[str], None]
) -> None:
    """Refuses classes that all hold the same folders of images: it looks like a level of splits.

    Where the network reads clips they may be clips of the same names, and a line says so.
    """
    inside = []
    for one in classes:
        folders = [entry for entry in one.entries if entry.is_dir() and frame_files(entry)]
        if len(folders) < len(one.entries):
            return
        inside.append(sorted(str(folder.relative_to(one.path)) for folder in folders))
    if len(classes) < 2 or len(inside[0]) < 2 or any(names != inside[0] for names in inside):
        return
    level = few([shown(one.path.name) for one in classes])
    found = f"{shown(path)}: {level} all hold the same folders ({few(list(map(shown, inside[0])))})"
    names_split = any(split_of(one.path.name) for one in classes)
    if reads_clips and not names_split:
        say(f"{found}, taken for clips; if {level} are splits, name them train, val and test")
        return
    raise UserError(
        f"{found}; if {level} are splits, name them train, val and test; if they are classes, set"
        " config.data.kind to images (groups of single images) or clips (each folder is a clip)"
    )


def _folders_hold(
    classes: list[_ClassFolder], kind: str, reads_clips: bool, say: Callable[[str], None]
) -> str:
    """What folders of images inside class folders are: `clips` or `images`."""
    folders = [f for one in classes for f in one.entries if f.is_dir() and frame_files(f)]
    if kind != "auto":
        return kind
    if all(not entry.is_dir() for one in classes for entry in one.entries):
        return "clips"  # Or images: there are no folders to decide about.
    files = [entry for one in classes for entry in one.entries if not entry.is_dir()]
    kinds = {kind_of(file) for file in files[:: len(files) // _MOST_OPENED + 1]}
    if not folders:
        return "images" if "image" in kinds else "clips"
    if reads_clips:
        held, why = "clips", "as the network reads clips"
    elif "clip" in kinds:
        held, why = "clips", "as other files are clips"
    elif "image" in kinds:
        held, why = "images", "as images lie beside them"
    else:
        votes = [_is_series(f) for f in folders[:: len(folders) // _MOST_OPENED + 1]]
        if votes.count(True) >= max(votes.count(False), 1):
            held, why = "clips", "as they hold numbered series of images of one size"
        else:
            held, why = "images", "as they hold no numbered series of images of one size"
    named = {"clips": "clips, one each", "images": "groups of single images"}
    other = "images" if held == "clips" else "clips"
    say(
        f"folders inside the class folders, such as {shown(folders[0])}, are taken for"
        f" {named[held]}, {why}; config.data.kind={other} takes them for {named[other]}"
    )
    return held


def _is_series(folder: Path) -> bool | None:
    """Whether a folder's images are `frame1, frame2, ...` in equal steps, and of one size.

    None where it holds a single image, which tells nothing.
    """
    files = frame_files(folder)
    if len(files) < 2:
        return None
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", file.name) for file in files]
    if len({part and (part[1], part[3]) for part in parts}) != 1 or parts[0] is None:
        return False
    numbers = sorted(int(part[2]) for part in parts if part)
    if len({later - earlier for earlier, later in itertools.pairwise(numbers)}) != 1:
        return False
    sizes = {size_in_header(file) for file in files[:: len(files) // 4 + 1]}
    return len(sizes - {None}) <= 1


def _examples(entries: Iterable[Path], of_folders: str, others: list[Path]) -> Iterator[Path]:
    """The images and clips of a class; all other files go to `others`."""
    for entry in entries:
        if not entry.is_dir():
            yield entry
        elif of_folders == "clips":
            yield entry
            frames = set(frame_files(entry))
            others.extend(path for path in visible(entry) if path not in frames)
        else:
            inside: list[Path] = []
            _gather(entry, inside, others, ())
            yield from _examples(inside, of_folders, others)


def _of_clips(path: Path, rows: list[Row], kind: str, reads_clips: bool) -> bool:
    """Whether the examples are clips; a GIF of one frame is what the others are."""
    examples: dict[str, Path] = {}
    for row in rows:
        examples.setdefault(kind_of(row.path), row.path)
    if "image" in examples and "clip" in examples:
        raise UserError(
            f"{shown(path)}: {shown(examples['image'])} is an image and {shown(examples['clip'])} a"
            " clip; a data set is made of either: move one kind elsewhere"
        )
    if kind == "clips" and "image" in examples:
        raise UserError(
            f"{shown(examples['image'])}: an image, where config.data.kind is clips; put the frames"
            " of each clip into a folder of its own, or set config.data.kind to images"
        )
    if kind == "images" and "clip" in examples:
        raise UserError(
            f"{shown(examples['clip'])}: a clip, where config.data.kind is images; move it"
            " elsewhere, or set config.data.kind to clips"
        )
    if "image" in examples or "clip" in examples:
        return "clip" in examples
    return reads_clips or kind == "clips"


def _by_suffix(files: list[Path]) -> str:
    """How many files, and of which suffixes: `7: 4 .psd, 3 without a suffix`."""
    counts = Counter(shown(file.suffix.lower()) or "without a suffix" for file in files)
    return f"{len(files)}: {few([f'{count} {name}' for name, count in counts.most_common()], 5)}"
