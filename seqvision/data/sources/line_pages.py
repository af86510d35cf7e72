"""Lines of whole pages: PAGE XML (2010 to 2019) and ALTO (2 to 4) beside the pages' images.

PAGE: https://ocr-d.de/en/gt-guidelines/pagexml/; ALTO: https://www.loc.gov/standards/alto/.
"""

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.parsers import expat

from seqvision.data.alphabet import normalized
from seqvision.data.files.clips import IMAGE_SUFFIXES
from seqvision.data.files.paths import few, natural_key, shown
from seqvision.data.sources.written_line import Region, WrittenLine, splits_below
from seqvision.errors import UserError
from seqvision.runtime.regular_file import read_regular

# Of one file; the largest newspaper pages have some 20 MB.
_MOST_BYTES = 2**26
# Pixels, or tenths of a millimetre.
_LARGEST = 1e7

Points = tuple[tuple[float, float], ...]


def lines_of_pages(path: Path, say: Callable[[str], None]) -> list[WrittenLine]:
    """The lines of all PAGE and ALTO files below a folder; [] where there are none.

    Args:
      path: the folder; its `train`, `validation` and `test` are splits, if it has them.
      say: called with a line about what is left out: other XML files, lines without a text.

    Raises:
      UserError: a file that is no XML, too large or has entities, a page without its image, a line
        without an outline.
      OSError: something cannot be read.
    """
    files = [file for file in path.rglob("*") if file.suffix.lower() == ".xml" and file.is_file()]
    files.sort(key=lambda file: natural_key(file.relative_to(path).as_posix()))
    splits = splits_below(path) if files else {}
    lines: list[WrittenLine] = []
    others: list[str] = []
    silent: list[str] = []
    for file in files:
        root = _parsed(file)
        readers = {"PcGts": _page_lines, "alto": _alto_lines}
        if (kind := _name(root)) not in readers:
            others.append(shown(file.name))
            continue
        image = _image_of(file, _image_name(root))
        split = splits.get(file.relative_to(path).parts[0], "train")
        for number, (name, text, region) in enumerate(readers[kind](root, shown(file)), start=1):
            where = f"{shown(file.relative_to(path).as_posix())}:{shown(name or f'line {number}')}"
            text = normalized(" ".join(text.split("\n"))).strip()
            if text:
                lines.append(WrittenLine(split, where, where, text, image, region))
            else:
                silent.append(where)
    for found, what in ((others, "XML of other kinds than PAGE and ALTO"), (silent, "no text")):
        if lines and found:
            say(f"{shown(path)}: left out ({what}): {few(found)}")
    return lines


def _parsed(file: Path) -> ET.Element:
    """The root of an XML file. Entities are refused before any is expanded."""
    if (size := file.stat().st_size) > _MOST_BYTES:
        raise UserError(
            f"{shown(file)}: it has {size:,} bytes; at most {_MOST_BYTES:,} are read: split it"
        )
    content = read_regular(file)

    def refuse(*_: object) -> None:
        raise UserError(f"{shown(file)}: it declares XML entities, which are not read; remove them")

    check = expat.ParserCreate()
    check.EntityDeclHandler = refuse
    try:
        check.Parse(content, True)
        return ET.fromstring(content)
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{shown(file)}: it is no whole XML file ({error}); repair it") from error


def _image_of(file: Path, named: str) -> Path:
    """The image of a page: as the file names it, else that of the same name beside it."""
    base = named.replace("\\", "/").rsplit("/", 1)[-1].strip()
    base = "" if base in (".", "..") else base
    suffixes = [*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES)]
    beside = [file.parent / base] if base else []
    beside += [file.with_suffix(suffix) for suffix in sorted(suffixes)]
    # PAGE files often lie in a folder `page` below that of the images.
    for candidate in (*beside, *(file.parent.parent / one.name for one in beside)):
        with contextlib.suppress(OSError):  # Such as a name that is too long.
            if candidate.is_file():
                return candidate
    raise UserError(
        f"{shown(file)}: no image {shown(base or file.with_suffix('.png').name)} beside it; put"
        " that of the page there"
    )


def _image_name(root: ET.Element) -> str:
    for element in root.iter():
        if _name(element) == "Page" and element.get("imageFilename"):
            return element.get("imageFilename") or ""
        if _name(element) == "fileName":
            return (element.text or "").strip()
    return ""


Found = tuple[str, str, Region]


def _page_lines(root: ET.Element, file: str) -> Iterator[Found]:
    """Name, text and outline of each line of a PAGE file."""
    for page in _all(root, "Page"):
        size = _numbers(page, "imageWidth", "imageHeight")
        for line in _all(page, "TextLine"):
            name = line.get("id", "")
            points: Points = ()
            for coords in _children(line, "Coords"):
                points = _points(coords.get("points", ""), file) or tuple(
                    (float(point.get("x", 0)), float(point.get("y", 0)))
                    for point in _children(coords, "Point")
                )
            yield name, _page_text(line), _region(points, size, f"{file}: line {shown(name)}")


def _page_text(line: ET.Element) -> str:
    """The text of a line: its own, else that of its words with a space between two of them."""
    if text := _reading(line):
        return text
    words = [
        _reading(word) or "".join(_reading(glyph) for glyph in _children(word, "Glyph"))
        for word in _children(line, "Word")
    ]
    return " ".join(word for word in words if word)


def _reading(element: ET.Element) -> str:
    """The main reading of an element, which is that of the lowest index; not those of its parts."""
    readings = _children(element, "TextEquiv")
    ordered = sorted(readings, key=lambda one: _number(one.get("index")) or 0)
    for reading in ordered:
        for kind in ("Unicode", "PlainText"):
            for text in _children(reading, kind):
                if (text.text or "").strip():
                    return (text.text or "").strip()
    return ""


def _alto_lines(root: ET.Element, file: str) -> Iterator[Found]:
    """Name, text and outline of each line of an ALTO file."""
    units = [(element.text or "").strip().lower() for element in _all(root, "MeasurementUnit")]
    for page in _all(root, "Page"):
        size = _numbers(page, "WIDTH", "HEIGHT")
        if size is None and units and units[0] != "pixel":
            raise UserError(
                f"{file}: its lines are in {shown(units[0])}, and its page has no WIDTH and HEIGHT;"
                " save it with the unit pixel"
            )
        for line in _all(page, "TextLine"):
            name = line.get("ID", "")
            points: Points = ()
            for shape in _children(line, "Shape"):
                for polygon in _children(shape, "Polygon"):
                    points = _points(polygon.get("POINTS", ""), file)
            points = points or _box([line]) or _box(_children(line, "String"))
            yield name, _alto_text(line), _region(points, size, f"{file}: line {shown(name)}")


def _box(elements: list[ET.Element]) -> Points:
    """The box around the boxes of ALTO elements; () where they have none."""
    boxes = []
    for element in elements:
        corner = _numbers(element, "HPOS", "VPOS")
        extent = _numbers(element, "WIDTH", "HEIGHT")
        if corner and extent:
            boxes.append((*corner, corner[0] + extent[0], corner[1] + extent[1]))
    if not boxes:
        return ()
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _alto_text(line: ET.Element) -> str:
    """Words with a space between two of them, and the hyphen at the end, which is ink, too."""
    text = ""
    for part in line:
        content = part.get("CONTENT", "")
        if _name(part) == "String":
            text += " " * bool(text) + content
        elif _name(part) == "HYP" and not text.endswith(content or "-"):
            text += content or "-"
    return text


def _region(points: Points, size: tuple[float, float] | None, where: str) -> Region:
    if len(points) < 2 or not all(abs(x) + abs(y) < _LARGEST for x, y in points):
        raise UserError(f"{where}: it has no outline; give its points, or remove it")
    if len({x for x, _ in points}) < 2 or len({y for _, y in points}) < 2:
        raise UserError(f"{where}: its outline is no area; correct its points, or remove it")
    return Region(points, size)


def _points(text: str, file: str) -> Points:
    """Points, as `1,2 3,4` or `1 2 3 4`."""
    try:
        numbers = [float(number) for number in text.replace(",", " ").split()]
    except ValueError:
        raise UserError(f"{file}: '{shown(text[:40])}' are no points; write x,y x,y") from None
    return tuple(zip(numbers[::2], numbers[1::2], strict=False))


def _numbers(element: ET.Element, *names: str) -> tuple[float, float] | None:
    first, second = (_number(element.get(name)) for name in names)
    return None if first is None or second is None else (first, second)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if abs(number) < _LARGEST else None


def _name(element: ET.Element) -> str:
    """A tag without its namespace, which differs by version."""
    return str(element.tag).rpartition("}")[2]


def _all(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (found for found in element.iter() if _name(found) == name)


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in element if _name(child) == name]
