"""The user's own images of lines, and what is written on them."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8
from tqdm import tqdm

from seqvision.data.alphabet import Alphabet, invisible_in, is_invisible
from seqvision.data.dataset import Dataset, Split
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, shown
from seqvision.data.sources.hash_split import cut, fraction_of
from seqvision.data.sources.line_pages import lines_of_pages
from seqvision.data.sources.line_pairs import lines_of_pairs
from seqvision.data.sources.line_reading import HostLine, read_written, scaled, scaled_width
from seqvision.data.sources.line_tables import has_table, lines_of_tables
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.written_line import WrittenLine
from seqvision.data.writing_order import comes_back
from seqvision.errors import UserError, explain_os_error
from seqvision.runtime.transfer import shareable
from seqvision.shapes import HostLengths

HostLines = UInt8[np.ndarray, "N height width 1"]
HostTexts = Int32[np.ndarray, "N label_length"]


@dataclasses.dataclass(frozen=True)
class LineSplit(Split):
    """Lines of writing as arrays in memory.

    Attributes:
      inputs: (N, height, width, 1) uint8, light ink on dark; 0 after a line's own columns.
      lengths: (N,) int32, those columns.
      labels: (N, label_length) int32, class numbers of an `Alphabet`, 0 after the last symbol.
      label_lengths: (N,) int32, how many symbols there are.
      names: the file that each comes from.
    """

    inputs: HostLines
    lengths: HostLengths
    labels: HostTexts
    label_lengths: HostLengths
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            object.__setattr__(self, name, shareable(array))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "inputs": self.inputs,
            "lengths": self.lengths,
            "labels": self.labels,
            "label_lengths": self.label_lengths,
        }

    def __len__(self) -> int:
        return len(self.labels)


class _Line(NamedTuple):
    """A line: its image's name, its pixels and class numbers; and see `hash_split`."""

    name: str
    pixels: HostLine
    numbers: np.ndarray
    fraction: float


def load_lines(
    path: Path,
    loading: Loading,
    *,
    height: int = 32,
    max_columns: int,
    alphabet: Alphabet | None = None,
    direction: str = "as_typed",
    invert: str = "auto",
) -> Dataset:
    """Loads images of lines, and what is written on them.

    A folder holds one of these:

    - images in `images/`, and what is written on them in `labels.tsv`, or instead of it
      `labels.train.tsv`, `labels.validation.tsv` and `labels.test.tsv` for splits that are made
      already; UTF-8, a row for each image: its name in the folder, a tab, the text;
    - pairs of an image `NAME.png` and its text `NAME.gt.txt`, see `line_pairs`;
    - pages and their PAGE or ALTO files, of which lines are cut out, see `line_pages`.

    White space around a text does not count, nor do empty rows. Images are made grey, with light
    ink on dark (see `line_ink`), and scaled to one height with their proportions kept.

    Args:
      path: the folder.
      loading: what to hold out, and whether to draw a progress bar.
      height: rows to scale all to.
      max_columns: the longest line, once it is scaled.
      alphabet: the symbols that texts are made of; without it, those that the texts of all splits
        have.
      direction: of the writing where there is no alphabet, see `Alphabet`.
      invert: `always`, `never`, or `auto`: where ink is dark on light.

    Returns:
      Lines, of which class_names are the symbols of the alphabet; all splits have the width of the
      longest line and the labels of the longest text.

    Raises:
      UserError: a table or a folder that is not there, an image without a text or the other way
        round, two texts for one, an image that cannot be read or is blank, a line that is too long,
        a symbol that is not in the alphabet: one line.
    """
    try:
        rows = _written_lines(path, loading)
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    if alphabet is None:
        alphabet = Alphabet.of_texts((row.text for row in rows), direction)
    _say_what_is_not_seen(path, rows, alphabet, loading)
    texts = [_encode(alphabet, row) for row in rows]
    given = _read_all(path, rows, texts, height, max_columns, invert, loading)
    parts = cut(given, loading.validation_fraction, loading.test_fraction)
    if not parts["train"]:
        raise UserError(
            f"{shown(path)}: all its {len(rows)} lines are held out; choose a smaller"
            " config.data.validation_fraction or config.data.test_fraction"
        )
    return _dataset(shown(path.resolve().name), alphabet, parts, height)


def _written_lines(path: Path, loading: Loading) -> list[WrittenLine]:
    """What is in the folder: a table, else pairs of an image and its text, else pages.

    Raises:
      OSError: it is no folder, or something cannot be read.
    """
    next(path.iterdir(), None)  # An error where it is no folder.
    if has_table(path):
        return lines_of_tables(path)
    return (
        lines_of_pairs(path, loading.say)
        or lines_of_pages(path, loading.say)
        or lines_of_tables(path)
    )


def _say_what_is_not_seen(
    path: Path, rows: list[WrittenLine], alphabet: Alphabet, loading: Loading
) -> None:
    """Names characters without ink, and texts that share their look with one of another order."""
    known = [symbol for symbol in alphabet.symbols if is_invisible(symbol)]
    invisible = invisible_in(symbol for row in rows for symbol in row.text if symbol in known)
    if invisible:
        loading.say(
            f"{shown(path)}: symbols that are not to be seen: {few(invisible)}; if they do not"
            " differ on paper, replace them in the texts"
        )
    other = [row for row in rows if not comes_back(row.text, alphabet.direction)]
    if other:
        loading.say(
            f"{shown(path)}: {len(other)} of {len(rows)} texts look the same in another order, and"
            f" are read in that: {few([shown(row.name) for row in other])};"
            " config.reading.direction may decide it"
        )


def _encode(alphabet: Alphabet, row: WrittenLine) -> np.ndarray:
    try:
        return alphabet.encode(row.text)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from error


def _read_all(
    path: Path,
    rows: list[WrittenLine],
    texts: list[np.ndarray],
    height: int,
    max_columns: int,
    invert: str,
    loading: Loading,
) -> dict[str, list[_Line]]:
    """The lines of each split. All that is wrong with any is said in one error."""
    given: dict[str, list[_Line]] = {row.split: [] for row in rows}
    broken: list[tuple[WrittenLine, UnreadableImageError]] = []
    too_long: list[tuple[int, WrittenLine]] = []
    names: dict[bool, list[str]] = {True: [], False: []}
    progress = tqdm(rows, disable=not loading.show_progress, leave=False)
    for row, numbers in zip(progress, texts, strict=True):
        try:
            pixels, dark_ink = read_written(row, invert)
        except UnreadableImageError as error:
            broken.append((row, error))
            continue
        names[dark_ink].append(shown(row.name))
        if (width := scaled_width(pixels, height)) > max_columns:
            too_long.append((width, row))
        elif not broken:
            line = _Line(row.name, scaled(pixels, height), numbers, fraction_of(pixels[None]))
            given[row.split].append(line)
    _refuse_broken(broken)
    if too_long:
        width, row = max(too_long, key=lambda one: one[0])
        count = f"{len(too_long)} lines are; the longest has " if len(too_long) > 1 else ""
        raise UserError(
            f"{_place(row)}: too long: {count}{width} columns at a height of {height}; cut it into"
            f" lines of at most {max_columns}, or raise that limit (config.lines.width)"
        )
    dark, light = names[True], names[False]
    if dark and light and invert == "auto":
        fewer, kind = (light, "light") if len(light) < len(dark) else (dark, "dark")
        loading.say(
            f"{shown(path)}: the ink of {len(fewer)} of {len(rows)} lines was taken to be {kind},"
            f" unlike that of the others: {few(fewer)}; if that is wrong, set config.lines.invert"
        )
    return given


def _refuse_broken(broken: list[tuple[WrittenLine, UnreadableImageError]]) -> None:
    if broken:
        row, error = broken[0]
        others = [shown(other.name) for other, _ in broken[1:]]
        more = f"; nor can {few(others)}" if others else ""
        raise UserError(
            f"{_place(row)}: cannot be read ({error}){more}; repair or remove it, with its row"
        ) from error


def _place(row: WrittenLine) -> str:
    return row.where if row.region else shown(row.file)


def _dataset(name: str, alphabet: Alphabet, parts: dict[str, list[_Line]], height: int) -> Dataset:
    """Lines of all splits, as wide as the widest, with room for the longest text."""
    lines = [line for part in parts.values() for line in part]
    width = max(line.pixels.shape[1] for line in lines)
    longest = max(len(line.numbers) for line in lines)
    splits = {split: _stacked(part, height, width, longest) for split, part in parts.items()}
    return Dataset(
        name=name,
        version="own",
        class_names=alphabet.symbols,
        splits=splits,
        input_shape=(height, width, 1),
        fingerprints={split: part.fingerprint() for split, part in splits.items()},
    )


def _stacked(lines: list[_Line], height: int, width: int, longest: int) -> LineSplit:
    inputs = np.zeros((len(lines), height, width, 1), np.uint8)
    labels = np.zeros((len(lines), longest), np.int32)
    for number, line in enumerate(lines):
        inputs[number, :, : line.pixels.shape[1]] = line.pixels
        labels[number, : len(line.numbers)] = line.numbers
    return LineSplit(
        inputs=inputs,
        lengths=np.array([line.pixels.shape[1] for line in lines], np.int32),
        labels=labels,
        label_lengths=np.array([len(line.numbers) for line in lines], np.int32),
        names=tuple(line.name for line in lines),
    )
