"""Tables of targets beside clips: a class for every frame.

A folder of frames has `targets.csv` in it; a video or animation `NAME.ext` has `NAME.csv` beside
it. The table has a header with a column `target`, the classes by name, and a row for each frame in
order; or also a column `frame`, their numbers from 0 on, in any order and as many as are known. An
empty target is unknown, and so is -1.
"""

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from seqvision.data.files.paths import bare_name, shown
from seqvision.data.targets import UNKNOWN
from seqvision.errors import UserError, explain_os_error
from seqvision.runtime.regular_file import read_regular

IN_FOLDER = "targets.csv"
_MOST_FRAME = 10_000_000


@dataclasses.dataclass(frozen=True)
class StepTable:
    """The targets of one clip.

    Attributes:
      path: of the table.
      targets: of the frames from 0 on, "" where they are unknown.
      numbered: it names its frames, and need not name all.
    """

    path: Path
    targets: list[str]
    numbered: bool

    def of_frames(self, num_frames: int) -> list[str]:
        """The targets of all frames of a clip.

        Raises:
          UserError: one is of a frame that there is not, or frames have no row.
        """
        targets, where = self.targets, shown(self.path)
        beyond = [number for number in range(num_frames, len(targets)) if targets[number]]
        if beyond:
            raise UserError(
                f"{where}: frame {beyond[0]} has the target '{shown(targets[beyond[0]])}', and the"
                f" clip has the frames 0 to {num_frames - 1}; remove it (frames count from 0), or"
                " add what is missing"
            )
        if len(targets) < num_frames and not self.numbered:
            raise UserError(
                f"{where}: {len(targets)} rows for the {num_frames} frames of the clip; write a row"
                " for each, empty where the target is unknown, or number them (frame,target)"
            )
        return (targets + [""] * num_frames)[:num_frames]


def table_path(clip: Path) -> Path:
    """Where the targets of a clip would lie."""
    if clip.is_dir():
        return clip / IN_FOLDER
    own = clip.with_suffix(".csv")  # Of x.nii.gz x.csv is taken as well.
    return own if own.is_file() else clip.with_name(f"{bare_name(clip)}.csv")


def step_tables(clips: Sequence[Path], asked: str) -> list[StepTable] | None:
    """The table of each clip; None where targets of frames are not to be learnt.

    Args:
      clips: files, or folders of frames.
      asked: `steps`, `class`, or `auto`: steps where every clip has a table.

    Raises:
      UserError: a table is missing where others are there, or is none.
    """
    if asked == "class":
        return None
    missing = [clip for clip in clips if not table_path(clip).is_file()]
    if asked == "auto" and len(missing) == len(clips):
        return None
    if missing:
        choice = "" if asked == "steps" else ", or set config.data.target=class"
        raise UserError(
            f"{shown(missing[0])}: no targets beside it ({shown(table_path(missing[0]).name)}), and"
            f" {len(clips) - len(missing)} of {len(clips)} clips have them; write a class for each"
            f" of its frames{choice}"
        )
    return [read_step_table(table_path(clip)) for clip in clips]


def read_step_table(path: Path) -> StepTable:
    """Reads the table of one clip.

    Raises:
      UserError: it cannot be read, or is no table of targets: one line that names the row.
    """
    where = shown(path)
    try:
        text = read_regular(path).decode("utf-8-sig")
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    except UnicodeDecodeError:
        raise UserError(f"{where}: it is not text in UTF-8; save it so") from None
    try:
        lines = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except csv.Error as error:
        raise UserError(f"{where}: no CSV ({error}); save it again") from None
    columns, *cells = lines or [[]]
    # A line without anything is a frame whose target is unknown.
    rows = [
        {name: row[place] if place < len(row) else "" for place, name in enumerate(columns)}
        for row in cells
    ]
    if "target" not in columns:
        found = ", ".join(map(shown, columns)) or "nothing"
        raise UserError(
            f"{where}: no column 'target'; its first line has {found}; write target, or"
            " frame,target, above the rows"
        )
    for row in rows:
        row["target"] = "" if row["target"] == str(UNKNOWN) else row["target"]
    if "frame" not in columns:
        return StepTable(path, [row["target"] for row in rows], numbered=False)
    return StepTable(path, _by_number(where, rows), numbered=True)


def _by_number(where: str, rows: Iterable[dict[str, str]]) -> list[str]:
    targets: dict[int, str] = {}
    for line, row in enumerate(rows, 2):
        number = int(row["frame"]) if row["frame"].isascii() and row["frame"].isdigit() else -1
        if not 0 <= number < _MOST_FRAME:
            raise UserError(
                f"{where}, line {line}: frame '{shown(row['frame'])}' is no number of a frame;"
                " they count from 0"
            )
        if number in targets:
            raise UserError(f"{where}, line {line}: frame {number} has a target already; keep one")
        targets[number] = row["target"]
    return [targets.get(number, "") for number in range(max(targets, default=-1) + 1)]
