"""A line of writing in a file, and what is written there."""

from pathlib import Path
from typing import NamedTuple

from seqvision.data.files.paths import shown
from seqvision.data.sources.split_names import split_folders, split_of


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


def splits_below(root: Path) -> dict[str, str]:
    """The split of each folder right below `root` that is named as one.

    Folders are splits only where there is one to train on; what lies elsewhere is `train`.

    Raises:
      UserError: two folders for one split.
    """
    named = {
        folder: found[0]
        for folder in root.iterdir()
        if folder.is_dir() and (found := split_of(folder.name))
    }
    if "train" not in named.values():
        return {}
    return {folder.name: split for split, folder in split_folders(shown(root), named).items()}
