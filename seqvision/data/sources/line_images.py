"""The user's own images of lines, with a table of what is written on them."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image
from tqdm import tqdm

from seqvision.data.alphabet import Alphabet, normalized
from seqvision.data.dataset import Dataset, Split
from seqvision.data.files.clips import IMAGE_SUFFIXES
from seqvision.data.files.images import HostImage, UnreadableImageError, read_unscaled
from seqvision.data.files.paths import few, shown, visible
from seqvision.data.sources.hash_split import cut, fraction_of
from seqvision.data.sources.loading import Loading
from seqvision.errors import UserError, explain_os_error
from seqvision.runtime.regular_file import regular
from seqvision.shapes import HostLengths

HostLines = UInt8[np.ndarray, "N height width 1"]
HostTexts = Int32[np.ndarray, "N label_length"]
HostLine = UInt8[np.ndarray, "height _ 1"]

IMAGES = "images"
TABLE = "labels.tsv"
_TABLES = {split: f"labels.{split}.tsv" for split in ("train", "validation", "test")}


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


class _Row(NamedTuple):
    """A row of a table: its split, its place, its image's name, and what is written there."""

    split: str
    where: str
    name: str
    text: str


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
    invert: str = "auto",
) -> Dataset:
    """Loads images of lines from `path/images/`, and what is written on them from a table.

    The table is `path/labels.tsv`, or instead of it `labels.train.tsv`, `labels.validation.tsv` and
    `labels.test.tsv` for splits that are made already. It is UTF-8, a row for each image: its name
    in the folder, a tab, the text. White space around a text does not count, nor do empty rows.

    Images are read by `images.read_unscaled`, made grey, with light ink on dark, and scaled to
    one height with their proportions kept.

    Args:
      path: the folder.
      loading: what to hold out, and whether to draw a progress bar.
      height: rows to scale all to.
      max_columns: the longest line, once it is scaled.
      alphabet: the symbols that texts are made of; without it, those that the texts of all splits
        have.
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
        images = _images(path)
        rows = [row for split, table in _tables(path).items() for row in _rows(split, table)]
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    _check_named_once(path, rows, images)
    if alphabet is None:
        alphabet = Alphabet.of_texts(row.text for row in rows)
    texts = [_encode(alphabet, row) for row in rows]
    given: dict[str, list[_Line]] = {row.split: [] for row in rows}
    progress = tqdm(rows, disable=not loading.show_progress, leave=False)
    for row, numbers in zip(progress, texts, strict=True):
        pixels, fraction = _read_training_line(images[row.name], height, max_columns, invert)
        given[row.split].append(_Line(row.name, pixels, numbers, fraction))
    parts = cut(given, loading.validation_fraction, loading.test_fraction)
    if not parts["train"]:
        raise UserError(
            f"{shown(path)}: all its {len(rows)} lines are held out; choose a smaller"
            " config.data.validation_fraction or config.data.test_fraction"
        )
    return _dataset(shown(path.resolve().name), alphabet, parts, height)


def _images(path: Path) -> dict[str, Path]:
    """The image files, by their names in NFC: macOS writes é as two characters, others as one.

    Raises:
      UserError: no such folder, or two names that differ in nothing else.
    """
    folder = path / IMAGES
    if not folder.is_dir():
        raise UserError(
            f"{shown(folder)}: no such folder; put the images of lines there, and their texts into"
            f" {shown(path / TABLE)}"
        )
    images: dict[str, Path] = {}
    for entry in visible(folder):
        name = normalized(entry.name)
        if name in images:
            raise UserError(
                f"{shown(folder)}: two images are named {shown(name)}, once in composed and once in"
                " decomposed Unicode; rename one of them"
            )
        if entry.suffix.lower() in IMAGE_SUFFIXES:
            images[name] = entry
    return images


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


def _rows(split: str, table: Path) -> list[_Row]:
    try:
        content = regular(table).read_bytes().decode("utf-8-sig")
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
        if not text:
            raise UserError(f"{where}: no text for {shown(name)}; write it, or remove the image")
        rows.append(_Row(split, where, name, text))
    if not rows:
        raise UserError(f"{shown(table)}: it is empty; write a row for each image, or remove it")
    return rows


def _check_named_once(path: Path, rows: list[_Row], images: dict[str, Path]) -> None:
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


def _encode(alphabet: Alphabet, row: _Row) -> np.ndarray:
    try:
        return alphabet.encode(row.text)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from error


def read_line(file: Path, height: int, invert: str = "auto") -> HostLine:
    """Reads an image of a line, of any length, as `load_lines` does.

    Args:
      file: the image.
      height: rows to scale it to.
      invert: `always`, `never`, or `auto`: where ink is dark on light.

    Raises:
      UnreadableImageError: the file cannot be read, is no whole image, or shows paper only.
    """
    return _scaled(read_unscaled(file, 1, "dark", invert), height)


def _scaled(pixels: HostImage, height: int) -> HostLine:
    """A line at another height, with its proportions kept."""
    if pixels.shape[0] == height:
        return pixels
    size = _scaled_width(pixels, height), height
    scaled = Image.fromarray(pixels[..., 0]).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(scaled)[..., None]


def _scaled_width(pixels: HostImage, height: int) -> int:
    return max(1, round(pixels.shape[1] * height / pixels.shape[0]))


def _read_training_line(
    file: Path, height: int, max_columns: int, invert: str
) -> tuple[HostLine, float]:
    """A line at its height, and its fraction for `hash_split`."""
    try:
        pixels = read_unscaled(file, 1, "dark", invert)
    except UnreadableImageError as error:
        raise UserError(
            f"{shown(file)}: cannot be read ({error}); repair or remove it, with its row"
        ) from error
    width = _scaled_width(pixels, height)
    if width > max_columns:
        raise UserError(
            f"{shown(file)}: too long: {width} columns at a height of {height}; cut it into lines"
            f" of at most {max_columns}, or raise that limit (config.lines.width)"
        )
    return _scaled(pixels, height), fraction_of(pixels[None])


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
