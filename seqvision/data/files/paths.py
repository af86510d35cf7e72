"""Names of the user's files: natural order, and printing in one line."""

import re
from pathlib import Path
from typing import Any


def natural_key(name: str) -> tuple[Any, ...]:
    """Sorts `frame2` before `frame10`."""
    # Text and digits alternate, so that two keys can always be compared.
    parts = re.split(r"(\d+)", name)
    return ([int(part) if part.isdecimal() else part for part in parts], name)


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, without hidden files and folders, in natural order.

    Raises:
      OSError: it is no folder, or there is no permission.
    """
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entries, key=lambda entry: natural_key(entry.name))


def bare_name(path: Path) -> str:
    """A file's name without its suffix, which of `.nii.gz` is both."""
    return re.sub(r"\.nii$", "", path.stem, flags=re.IGNORECASE) if path.suffix else path.name


def shown(path: Path | str) -> str:
    """A path as part of one printable line, whatever bytes its name is made of."""
    text = str(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text)


def few(names: list[str], count: int = 3, between: str = ", ") -> str:
    """The first names, and how many more there are."""
    rest = len(names) - count
    return between.join(names[:count]) + (f" and {rest} more" if rest > 0 else "")
