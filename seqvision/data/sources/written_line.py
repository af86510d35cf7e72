"""A line of writing in a file, and what is written there."""

from pathlib import Path
from typing import NamedTuple

# What people name the folders of splits.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}


class Region(NamedTuple):
    """Where a line lies in the image of its page.

    Attributes:
      points: (x, y) of its outline; a box has four.
      page: width and height of the page in the unit of the points; None: they are pixels.
    """

    points: tuple[tuple[float, float], ...]
    page: tuple[float, float] | None


class WrittenLine(NamedTuple):
    """A line: its split, its place, its name, its text, its image and, of a page, its region."""

    split: str
    where: str
    name: str
    text: str
    file: Path
    region: Region | None = None


def split_of(file: Path, root: Path) -> str:
    """The split of a file by the folder below `root` that it is in; `train` where none is named.

    Folders are splits only where there is one to train on.
    """
    first = file.relative_to(root).parts[0].lower()
    has_train = any((root / name).is_dir() for name, of in SPLIT_FOLDERS.items() if of == "train")
    return SPLIT_FOLDERS.get(first, "train") if has_train else "train"
