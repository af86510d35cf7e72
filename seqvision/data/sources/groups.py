"""Groups of examples (patients, videos) that are not to be split: by a table, or by their names."""

import csv
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from seqvision.data.files.paths import bare_name, few, shown
from seqvision.errors import UserError, explain_os_error, first_line
from seqvision.runtime.regular_file import open_regular

TABLE = "groups.csv"


def groups_of(
    root: Path, files: Sequence[Path], pattern: str, say: Callable[[str], None]
) -> list[str]:
    """The group of each example; "" for each where the user names none.

    Args:
      root: the folder of the set, which may hold the table `groups.csv`: a name and a group a line.
        A name is an example's path below `root`, that of a folder around it, or its own name, with
        or without its suffix (both of `.nii.gz`).
      files: the examples.
      pattern: a regular expression, searched for in these paths; its first bracket, or all of it,
        is the group. "" is none.
      say: called with lines about how many groups there are, and rows without an example.

    Raises:
      UserError: both are there; an example has no group, a name two groups or two meanings; or the
        table cannot be read.
    """
    table = _table_of(root, files)
    if pattern and table:
        raise UserError(
            f"config.data.group_pattern: '{pattern}', and {shown(table)} is there as well; remove"
            " one of them"
        )
    if not pattern and not table:
        return [""] * len(files)
    paths = [file.relative_to(table.parent if table else root) for file in files]
    if table:
        groups, missing = _by_table(table, paths, say), shown(table)
        hint = "it has no line there; add one"
    else:
        groups, missing = _by_pattern(paths, re.compile(pattern)), "config.data.group_pattern"
        hint = f"'{pattern}' is not found in it; write one that fits every name"
    lacking = [shown(path) for path, group in zip(paths, groups, strict=True) if not group]
    if lacking:
        raise UserError(
            f"{missing}: {len(lacking)} of {len(paths)} examples have no group, such as"
            f" {lacking[0]}: {hint}"
        )
    say(groups_line(groups))
    return groups


def groups_line(groups: Sequence[str]) -> str:
    """How many groups examples have, of which each has one."""
    names = [shown(name) for name in dict.fromkeys(groups)]
    return f"groups: {len(groups)} examples are of {num_groups(len(names))}: {few(names)}"


def num_groups(count: int) -> str:
    """So many groups, in words."""
    return f"{count} group{'' if count == 1 else 's'}"


def fraction_of_group(group: str) -> float:
    """A number in [0, 1) from the SHA-256 of a group's name; see `hash_split.fraction_of`."""
    digest = hashlib.sha256(b"group " + group.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _table_of(root: Path, files: Sequence[Path]) -> Path | None:
    """The table in `root`, or further down where all examples still lie below it."""
    folders = [folder for folder in files[0].parents if folder.is_relative_to(root)]
    for folder in reversed(folders):
        if (table := folder / TABLE).is_file() and all(f.is_relative_to(folder) for f in files):
            return table
    return None


def _by_pattern(paths: Sequence[Path], pattern: re.Pattern[str]) -> list[str]:
    found = [pattern.search(path.as_posix()) for path in paths]
    # A bracket may stand in an alternative that was not found.
    return [((pattern.groups and one[1]) or one[0]) if one else "" for one in found]


def _by_table(table: Path, paths: Sequence[Path], say: Callable[[str], None]) -> list[str]:
    given = _rows(table)
    meant: dict[str, Path] = {}
    groups, known = [], set[str]()
    for path in paths:
        around = [parent.as_posix() for parent in path.parents if parent.name]
        own = [path.name, path.stem, bare_name(path)]
        names = [*(path.with_name(name).as_posix() for name in own), *own, *around]
        known.update(names)
        name = next((name for name in names if name in given), "")
        if name in own and "/" in path.as_posix() and meant.setdefault(name, path) != path:
            raise UserError(
                f"{shown(table)}: '{shown(name)}' may be {shown(meant[name])} or {shown(path)};"
                " write the paths"
            )
        groups.append(given.get(name, ""))
    if others := [shown(name) for name in given if name not in known]:
        say(f"{shown(table)}: rows of no example, {len(others)} of {len(given)}: {few(others)}")
    return groups


def _rows(table: Path) -> dict[str, str]:
    """From name to group."""
    where = shown(table)
    try:
        with open_regular(table) as file:
            lines = file.read().decode("utf-8-sig").splitlines()
        rows = [row for row in csv.reader(lines, strict=True) if any(map(str.strip, row))]
    except OSError as error:
        raise UserError(explain_os_error(error, table, "config.data.path")) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{where}: no CSV file in UTF-8 ({first_line(error)}); save it as such"
        ) from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    columns, most = [0, 1], 2
    if {"name", "group"} <= set(header):
        columns, rows = [header.index("name"), header.index("group")], rows[1:]
        most = len(header)
    given: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if not max(columns) < len(row) <= most:
            raise UserError(
                f"{where}: entry {number} has {len(row)} cells; a name and a group are needed, or a"
                " first line that names the columns 'name' and 'group'"
            )
        name, group = (row[column].strip() for column in columns)
        name = name.replace("\\", "/").removeprefix("./").rstrip("/")
        if given.setdefault(name, group) != group:
            raise UserError(
                f"{where}: '{shown(name)}' is in two groups, '{shown(given[name])}' and"
                f" '{shown(group)}'; keep one"
            )
    return given
