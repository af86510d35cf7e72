"""Lines of writing and their texts, as a table names them: `images/` and `labels.tsv`."""

from pathlib import Path

from seqvision.data.alphabet import normalized
from seqvision.data.files.clips import IMAGE_SUFFIXES
from seqvision.data.files.paths import few, shown, visible
from seqvision.data.sources.written_line import WrittenLine
from seqvision.errors import UserError
from seqvision.runtime.regular_file import read_regular

IMAGES = "images"
TABLE = "labels.tsv"
_TABLES = {split: f"labels.{split}.tsv" for split in ("train", "validation", "test")}


def has_table(path: Path) -> bool:
    """Whether there is a table."""
    return any((path / name).is_file() for name in (TABLE, *_TABLES.values()))


def lines_of_tables(path: Path) -> list[WrittenLine]:
    """The lines that `labels.tsv` (or a table for each split) names in `path/images/`.

    Raises:
      UserError: a table or a folder that is not there, an image without a text or the other way
        round, two texts for one.
      OSError: something cannot be read.
    """
    images = _images(path)
    rows = [row for split, table in _tables(path).items() for row in _rows(split, table)]
    _check_named_once(path, rows, images)
    return [row._replace(file=images[row.name]) for row in rows]


def _images(path: Path) -> dict[str, Path]:
    """The image files, by their names in NFC: macOS writes é as two characters, others as one.

    Those in sub-folders have names such as `letters/1.png`.

    Raises:
      UserError: no such folder, or two names that differ in nothing else.
    """
    folder = path / IMAGES
    if not folder.is_dir():
        raise UserError(
            f"{shown(folder)}: no such folder; put the images of lines there, and their texts into"
            f" {shown(path / TABLE)}; or a text beside each image, NAME.gt.txt, or PAGE or ALTO XML"
        )
    images: dict[str, Path] = {}
    for entry in _files(folder):
        name = normalized(entry.relative_to(folder).as_posix())
        if name in images:
            raise UserError(
                f"{shown(folder)}: two images are named {shown(name)}, once in composed and once in"
                " decomposed Unicode; rename one of them"
            )
        if entry.suffix.lower() in IMAGE_SUFFIXES:
            images[name] = entry
    return images


def _files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones, sub-folders last."""
    entries = visible(folder)
    below = [file for entry in entries if entry.is_dir() for file in _files(entry)]
    return [entry for entry in entries if not entry.is_dir()] + below


def _tables(path: Path) -> dict[str, Path]:
    """The tables that there are, by their splits; `labels.tsv` is `train`, to be cut."""
    parts = {split: path / name for split, name in _TABLES.items() if (path / name).is_file()}
    if (path / TABLE).is_file():
        if parts:
            other = shown(next(iter(parts.values())).name)
            raise UserError(f"{shown(path)}: it has both {TABLE} and {other}; keep one of them")
        return {"train": path / TABLE}
    if "train" not in parts:
        missing = _TABLES["train"] if parts else TABLE
        raise UserError(
            f"{shown(path / missing)}: no such file; write a row for each image: its name, a tab,"
            " the text"
        )
    return parts


def _rows(split: str, table: Path) -> list[WrittenLine]:
    try:
        content = read_regular(table).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{shown(table)}: it is not UTF-8; save it as that") from error
    rows = []
    # `splitlines` would also split at characters that may stand in a text.
    for number, row in enumerate(content.split("\n"), start=1):
        if not row.strip():
            continue
        where = f"{shown(table)}: row {number}"
        fields = row.split("\t")
        if len(fields) != 2:
            count = f"{len(fields) - 1} tabs" if len(fields) > 2 else "no tab"
            raise UserError(f"{where} has {count}; write a file name, one tab, the text")
        name, text = (normalized(field).strip() for field in fields)
        name = name.replace("\\", "/").removeprefix("./").removeprefix(f"{IMAGES}/")
        if not text:
            raise UserError(f"{where}: no text for {shown(name)}; write it, or remove the image")
        rows.append(WrittenLine(split, where, name, text, table))
    if not rows:
        raise UserError(f"{shown(table)}: it is empty; write a row for each image, or remove it")
    return rows


def _check_named_once(path: Path, rows: list[WrittenLine], images: dict[str, Path]) -> None:
    """Refuses texts without an image, images without a text, and two texts for one image."""
    seen: dict[str, str] = {}
    for row in rows:
        if row.name in seen:
            raise UserError(
                f"{row.where}: {shown(row.name)} is already in {seen[row.name]}; keep one of them"
            )
        seen[row.name] = row.where
        if row.name not in images:
            raise UserError(
                f"{row.where}: no image {shown(row.name)} in {shown(path / IMAGES)}; add it,"
                " correct its name, or remove the row"
            )
    without = [shown(name) for name in images if name not in seen]
    if without:
        raise UserError(
            f"{shown(path / IMAGES)}: no text for {few(without)}; add a row for each, or move the"
            " image elsewhere"
        )
