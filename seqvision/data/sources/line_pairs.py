"""Lines of writing as recognisers keep them: `1.png` and its text in `1.gt.txt`."""

from collections.abc import Callable
from pathlib import Path

from seqvision.data.alphabet import normalized
from seqvision.data.files.clips import IMAGE_SUFFIXES
from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.sources.written_line import WrittenLine, splits_below
from seqvision.errors import UserError
from seqvision.runtime.regular_file import read_regular

_TEXT = ".gt.txt"
# Copies that are binarized or normalized, where there is no plain image.
_COPIES = ("", ".bin", ".nrm")


def lines_of_pairs(path: Path, say: Callable[[str], None]) -> list[WrittenLine]:
    """The lines of all `.gt.txt` files below a folder; [] where there are none.

    Args:
      path: the folder; its `train`, `validation` and `test` are splits, if it has them.
      say: called with a line about images without a text.

    Raises:
      UserError: a text without an image or with two, of several lines, or empty.
      OSError: something cannot be read.
    """
    files = [file for file in path.rglob("*") if not file.name.startswith(".") and file.is_file()]
    files.sort(key=lambda file: natural_key(file.relative_to(path).as_posix()))
    texts = [file for file in files if file.name.endswith(_TEXT)]
    images: dict[Path, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            images.setdefault(file.with_suffix(""), []).append(file)
    splits = splits_below(path) if texts else {}
    lines = [_line(text, path, images, splits) for text in texts]
    used = {_stem(line.file) for line in lines}
    unused = [shown(same[0].name) for stem, same in images.items() if _plain(stem) not in used]
    if lines and unused:
        say(f"{shown(path)}: images without a text ({_TEXT}) are left out: {few(unused)}")
    return lines


def _line(
    text: Path, root: Path, images: dict[Path, list[Path]], splits: dict[str, str]
) -> WrittenLine:
    stem = text.with_name(text.name.removesuffix(_TEXT))
    found = next((same for copy in _COPIES if (same := images.get(_copy(stem, copy)))), [])
    if len(found) != 1:
        what = f"several images ({few([shown(file.name) for file in found])})" if found else ""
        raise UserError(
            f"{shown(text)}: it has {what or 'no image beside it'}; keep one, such as"
            f" {shown(stem.name)}.png"
        )
    try:
        content = normalized(read_regular(text).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{shown(text)}: it is not UTF-8; save it as that") from error
    rows = [row.strip() for row in content.split("\n") if row.strip()]
    if len(rows) != 1:
        what = f"{len(rows)} lines of text" if rows else "no text"
        raise UserError(f"{shown(text)}: {what}; write the one line that its image shows")
    name = found[0].relative_to(root).as_posix()
    split = splits.get(text.relative_to(root).parts[0], "train")
    return WrittenLine(split, shown(text), normalized(name), rows[0], found[0])


def _copy(stem: Path, copy: str) -> Path:
    return stem.with_name(stem.name + copy)


def _stem(image: Path) -> Path:
    return _plain(image.with_suffix(""))


def _plain(stem: Path) -> Path:
    """The stem without the ending of a copy."""
    return stem.with_suffix("") if stem.suffix in _COPIES[1:] else stem
