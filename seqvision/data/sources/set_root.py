"""Where a set of class folders begins: archives often unpack into a folder in a folder."""

from collections.abc import Callable
from pathlib import Path

from seqvision.data.files.clips import CLIP_SUFFIXES, IMAGE_SUFFIXES
from seqvision.data.files.paths import few, shown, visible
from seqvision.data.files.volumes import holds_picture, is_volume
from seqvision.data.sources.split_names import FILLERS, split_folders, split_of
from seqvision.errors import UserError


def folders_in(folder: Path) -> list[Path]:
    return [entry for entry in visible(folder) if entry.is_dir()]


def is_media(path: Path) -> bool:
    if path.is_dir():
        return False
    if path.suffix.lower() in IMAGE_SUFFIXES | CLIP_SUFFIXES:
        return True
    return is_volume(path) and holds_picture(path)


def holds_media(folder: Path, above: tuple[Path, ...] = ()) -> bool:
    """Whether an image or a clip lies in a folder, at any depth."""
    above = (*above, folder.resolve())
    inside = []
    for entry in folder.iterdir():  # In any order, up to the first: folders may be large.
        if not entry.name.startswith("."):
            if is_media(entry):
                return True
            inside.append(entry)
    return any(
        holds_media(entry, above)
        for entry in inside
        if entry.is_dir() and entry.resolve() not in above
    )


def set_root(path: Path, say: Callable[[str], None]) -> Path:
    """The folder of the classes or splits: `path`, or one further down where that is plain.

    That is a folder alone in another of its name, or one with splits of class folders in it, down
    to which there is no other.
    """
    folder = below = path
    while (only := _only_folder(below)) and not split_of(only.name):
        is_class = not any(map(holds_media, folders_in(only)))
        named_alike = folder == below and only.name == folder.name and not is_class
        if named_alike or _holds_splits(only):
            folder = only
        below = only
    if folder != path:
        say(f"{shown(path)}: the set lies in its folder {shown(folder.relative_to(path))}")
    return folder


def split_root(path: Path, split: str, say: Callable[[str], None]) -> Path:
    """Of a split, the folder of its classes, such as `seg_train/seg_train` or `train/images`."""
    folder = path
    while only := _only_folder(folder):
        meant = split_of(only.name)
        known = meant is not None and meant[0] == split
        if not (known or only.name == folder.name or only.name.lower() in FILLERS):
            break
        if not any(map(holds_media, folders_in(only))):
            break
        folder = only
    if folder != path:
        say(f"{shown(path)}: its classes lie in its folder {shown(folder.relative_to(path))}")
    return folder


def check_classes(path: Path, folders: list[Path]) -> None:
    """Refuses a single class folder that holds nothing but folders, and names those.

    Raises:
      UserError: one line.
    """
    if len(folders) != 1:
        return
    folder = folders[0]
    while only := _only_folder(folder):
        folder = only
    inside = [shown(one.name) for one in folders_in(folder) if holds_media(one)]
    if len(inside) > 1 and not any(map(is_media, visible(folder))):
        what = "its splits" if all(map(split_of, inside)) else "the classes"
        raise UserError(
            f"{shown(path)}: only one class, '{shown(folders[0].name)}'; at least two are needed;"
            f" if {what} are {few(inside)}, set config.data.path to {shown(folder)}"
        )


def _only_folder(folder: Path) -> Path | None:
    """The folder that lies alone in another, as far as images and clips go."""
    if any(map(is_media, visible(folder))):
        return None
    inside = [one for one in folders_in(folder) if holds_media(one)]
    return inside[0] if len(inside) == 1 and inside[0].resolve() != folder.resolve() else None


def _holds_splits(folder: Path) -> bool:
    """Whether all folders in it are splits that hold folders themselves."""
    inside = [one for one in folders_in(folder) if holds_media(one)]
    try:
        splits = split_folders("", inside)
    except UserError:
        return False
    return bool(splits) and all(
        not any(map(is_media, visible(one))) and folders_in(one) for one in splits.values()
    )
