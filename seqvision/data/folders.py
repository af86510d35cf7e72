"""The user's own data set from a folder for each class."""

import dataclasses
import unicodedata
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from seqvision.data.clip_files import (
    CLIP_SUFFIXES,
    IMAGE_SUFFIXES,
    frame_files,
    kind_of,
    read_frames,
)
from seqvision.data.dataset import Dataset
from seqvision.data.examples import Example, make_dataset, make_example
from seqvision.data.files import UnreadableImageError
from seqvision.data.paths import few, natural_key, shown, visible
from seqvision.errors import UserError, explain_os_error

_SPLIT_NAMES = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


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


def load_folders(
    path: Path,
    *,
    size: tuple[int, int, int] = (0, 0, 0),
    broken_files: str,
    validation_fraction: float,
    test_fraction: float,
    say: Callable[[str], None],
    show_progress: bool,
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
        folder for such a split; see `split_rule`.
      say: called with lines about what is left out.
      show_progress: draw a progress bar.

    Returns:
      Images (N, height, width, channels) or clips (N, T, height, width, channels) as uint8. Clips
      are as long as the longest; the frames after a clip's own are 0.

    Raises:
      UserError: no such folder, no classes, images among clips, different sizes, broken files: one
        line.
    """
    try:
        listing = _list(path)
    except FileNotFoundError as error:
        raise UserError(f"{shown(path)}: no such folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    if listing.empty:
        say(f"folders without images or clips, left out: {few([shown(f) for f in listing.empty])}")
    if listing.others:
        say(f"other files left out, {len(listing.others)}: such as {shown(listing.others[0])}")
    of_clips = _of_clips(path, listing.paths)
    used = {name for classes in listing.examples.values() for name in classes}
    class_names = tuple(sorted(used, key=natural_key))
    given = _read(listing, class_names, size, broken_files, say, show_progress)
    return make_dataset(
        path, class_names, given, of_clips, size, validation_fraction, test_fraction
    )


def _list(path: Path) -> _Listing:
    listing = _Listing({}, [], [])
    for split, folder in _split_folders(path).items():
        classes = listing.examples.setdefault(split, {})
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
    return listing


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


def _read(
    listing: _Listing,
    class_names: tuple[str, ...],
    size: tuple[int, int, int],
    broken_files: str,
    say: Callable[[str], None],
    show_progress: bool,
) -> dict[str, list[Example]]:
    given: dict[str, list[Example]] = {split: [] for split in listing.examples}
    broken: list[str] = []
    with tqdm(total=len(listing.paths), disable=not show_progress, leave=False) as progress:
        for split, classes in listing.examples.items():
            for label, name in enumerate(class_names):
                for file in classes.get(name, []):
                    try:
                        frames = read_frames(file)
                        given[split].append(make_example(shown(file), frames, label, size))
                    except UnreadableImageError as error:
                        if broken_files == "fail":
                            raise UserError(
                                f"{shown(file)}: cannot be read ({error}); repair or remove it, or"
                                " set config.data.broken_files = 'skip' to leave such files out"
                            ) from error
                        broken.append(f"{shown(file)} ({error})")
                    progress.update()
    if broken:
        say(f"broken files skipped, {len(broken)} of {len(listing.paths)}: {few(broken)}")
    return given
