"""Tones of the user's training files, decided once for the whole set."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from seqvision.data.files.deep import deep_pixels, is_deep, own_depth
from seqvision.data.files.headers import header_of
from seqvision.data.files.opening import UnreadableImageError, opened_image
from seqvision.data.files.paths import shown
from seqvision.data.files.physical_values import NO_UNIT
from seqvision.data.files.pixels import frame_of, ink, paper_for
from seqvision.data.files.tones import Range, Tones, range_of_extremes
from seqvision.data.files.videos import VIDEO_SUFFIXES, special_frames
from seqvision.data.files.volumes import is_volume, volume_header, volume_pictures
from seqvision.data.sources.scan_cache import load_json, save_json
from seqvision.errors import UserError

# What percentiles are taken of: so many files in equal steps, and values in equal steps of each.
SAMPLED_FILES, SAMPLED_VALUES = 1000, 10_000
_LOOKED_AT = 100  # So many files, where all pixels are black.
# Of red, green and blue in grey (ITU-R BT.601), as Pillow has them.
_GREY = np.array([0.299, 0.587, 0.114])


def tones_of(
    files: list[Path],
    stated: Tones,
    kept: Path | None,
    say: Callable[[str], None],
    percentiles: tuple[float, float] | None = None,
    show_progress: bool = False,
) -> Tones:
    """The tones of image files, series, volumes and videos.

    Args:
      files: those of the training split. What cannot be opened is passed over.
      stated: what the user chose; the rest is decided by the files.
      kept: a file that keeps the result for the next start, since to decide means to decode; None
        keeps nothing.
      say: called with a line where some files are deep and others are not, and where their values
        are of several kinds.
      percentiles: of the values of deep files, those that become black and white; None takes the
        depth, or the extremes. They are of a sample: 1000 deep files and 10,000 values of each.
      show_progress: draw a progress bar.

    Returns:
      What is stated; else `value_range` None where no file is deep, `paper` "" where none is
      transparent.

    Raises:
      UserError: the two percentiles are one value, a range is stated and no file is deep, or what
        reads such files is not installed.
    """
    if stated.value_range and stated.paper:
        files = [path for path in files if is_volume(path)]  # Their kinds are still named.
    found = _kept(kept) or _found(files, stated, percentiles, show_progress)
    tones, remarks = found
    for remark in remarks:
        say(remark)
    if kept:
        save_json(kept, [dataclasses.asdict(tones), remarks])
    return tones


def _kept(path: Path | None) -> tuple[Tones, list[str]] | None:
    try:
        facts, remarks = load_json(path)
        return Tones.from_json(facts), list(map(str, remarks))
    except (TypeError, ValueError, KeyError):  # Nothing is there, or it is damaged.
        return None


@dataclasses.dataclass
class _Seen:
    """What was seen of a set.

    Attributes:
      smallest, largest: of the values of deep pictures.
      depth: the largest that their files can hold; inf where one of these does not say.
      light, total: see `pixels.ink`; of deep pictures apart, in values.
    """

    smallest: float = math.inf
    largest: float = -math.inf
    depth: float = 0.0
    light: float = 0.0
    total: float = 0.0
    deep_light: float = 0.0
    deep_total: float = 0.0

    def see(self, image: Image.Image, depth: int) -> None:
        """Takes note of a picture, and, if it is deep, of the depth of its file."""
        if not is_deep(image):
            light, total = ink([image.convert("RGBA")])
            self.light, self.total = self.light + light, self.total + total
            return
        pixels = deep_pixels(image)
        values = pixels.seen.ravel()
        if values.size:
            self.smallest = min(self.smallest, float(values.min()))
            self.largest = max(self.largest, float(values.max()))
            self.depth = max(self.depth, depth or math.inf)
        if pixels.opacity is not None:
            values = pixels.values.astype(np.float64)
            grey = values if values.ndim == 2 else values @ _GREY
            self.deep_light += float((grey * pixels.opacity).sum())
            self.deep_total += float(pixels.opacity.sum())

    def value_range(self, is_mixed: bool) -> tuple[float, float] | None:
        if self.largest < self.smallest:
            return None
        # Values of 8 bits beside these are scaled by their own depth.
        if is_mixed and self.depth < math.inf:
            return 0.0, self.depth
        return range_of_extremes(self.smallest, self.largest)

    def paper(self, value_range: tuple[float, float] | None) -> str:
        light, total = self.light, self.total + self.deep_total
        if value_range:
            low, high = value_range
            light += (self.deep_light - low * self.deep_total) * 255 / (high - low)
        return paper_for(light, total) if total else ""


@dataclasses.dataclass
class _Files:
    """The files that were seen: deep ones with their number of deep pictures, others, and kinds."""

    deep: dict[Path, int] = dataclasses.field(default_factory=dict)
    shallow: list[Path] = dataclasses.field(default_factory=list)
    kinds: dict[str, list[Path]] = dataclasses.field(default_factory=dict)

    def add(self, path: Path, num_deep: int, kind: str) -> None:
        if num_deep:
            self.deep[path] = num_deep
            self.kinds.setdefault(kind or NO_UNIT, []).append(path)
        else:
            self.shallow.append(path)

    def named_kinds(self) -> tuple[str, ...]:
        return () if set(self.kinds) <= {NO_UNIT} else tuple(self.kinds)

    def remarks(self, value_range: Range | None) -> list[str]:
        """Lines on files that differ in depth or in kind."""
        remarks = []
        if self.deep and self.shallow:
            remarks.append(
                f"{len(self.deep)} files have more than 8 bits a value, such as"
                f" {shown(next(iter(self.deep)))}, and {len(self.shallow)} have 8, such as"
                f" {shown(self.shallow[0])}"
            )
            if value_range:
                low, high = value_range
                remarks[0] += f": {low:g} to {high:g} of the former is taken for 0 to 255 of the"
                remarks[0] += " latter"
        if len(self.named_kinds()) > 1:
            found = "; ".join(
                f"{len(paths)} {kind}, such as {shown(paths[0])}"
                for kind, paths in self.kinds.items()
            )
            remarks.append(f"the values are of several kinds, and one scale is for all: {found}")
        return remarks


def _found(
    files: list[Path],
    stated: Tones,
    percentiles: tuple[float, float] | None,
    show_progress: bool = False,
) -> tuple[Tones, list[str]]:
    seen, found = _Seen(), _Files()
    for path in tqdm(files, unit="file", disable=not show_progress, leave=False):
        num_deep, kind, after = 0, "", dataclasses.replace(seen)
        try:
            if is_volume(path):
                kind = volume_header(path).kind
            if kind and stated.value_range:  # There is nothing else to see: it is opaque.
                found.add(path, 1, kind)
                continue
            for image, depth in _special(path):
                num_deep += is_deep(image)
                after.see(image, depth)
        except UnreadableImageError:
            continue
        seen = after
        found.add(path, num_deep, kind)
    if found.shallow and not found.deep and (stated.value_range or percentiles):
        raise UserError(
            "config.data.value_range: it has no effect, as no training file has more than 8 bits a"
            f" value, such as {shown(found.shallow[0])}; leave it at auto"
        )
    value_range = stated.value_range or seen.value_range(is_mixed=bool(found.shallow))
    chosen = stated.chosen
    if percentiles and value_range and not stated.value_range:
        value_range = _range_of_percentiles(found.deep, percentiles)
        first, last = percentiles
        chosen = f"percentiles {first:g} and {last:g} of the training split"
    paper = stated.paper or seen.paper(value_range)
    tones = Tones(value_range, paper, stated.more_ranges, found.named_kinds(), chosen)
    return tones, found.remarks(value_range)


def _range_of_percentiles(
    deep: dict[Path, int], percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Two percentiles of values in equal steps, of deep files in equal steps.

    Raises:
      UserError: they are one value.
    """
    sample: list[np.ndarray] = []
    for step in ((len(deep) - 1) // SAMPLED_FILES + 1, 1):
        for path in list(deep)[::step] if not sample else ():
            num_sampled = -(-SAMPLED_VALUES // deep[path])
            for image, _ in _special(path):
                if is_deep(image) and (values := deep_pixels(image).seen.ravel()).size:
                    sample.append(values[:: len(values) // num_sampled + 1].astype(np.float64))
    return percentiles_of(sample, percentiles)


def extremes_of(files: Sequence[Path]) -> Range | None:
    """The extremes of the finite values of deep files, of a hundred in equal steps."""
    seen = _Seen()
    for path in files[:: (len(files) - 1) // _LOOKED_AT + 1]:
        with contextlib.suppress(UnreadableImageError):
            for image, depth in _special(path):
                if is_deep(image):
                    seen.see(image, depth)
    return (seen.smallest, seen.largest) if seen.smallest <= seen.largest else None


def percentiles_of(sample: list[np.ndarray], percentiles: tuple[float, float]) -> Range:
    """Two percentiles of a sample of values.

    Raises:
      UserError: they are one value, or there is none.
    """
    values = np.concatenate(sample)
    low, high = np.percentile(values, percentiles).tolist() if values.size else (0.0, 0.0)
    if not low < high:
        first, last = percentiles
        raise UserError(
            f"config.data.value_range: the percentiles {first:g} and {last:g} of the training"
            f" values are both {low:g}; choose others, or two values"
        )
    return low, high


def _special(path: Path) -> Iterator[tuple[Image.Image, int]]:
    """The pictures of a file that are deep or transparent, and the depth of it: see `own_depth`.

    Raises:
      UnreadableImageError: it cannot be read.
      UserError: what reads such files is not installed.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        yield from special_frames(path)
        return
    if is_volume(path):
        yield from ((image, 0) for image in volume_pictures(path) if is_deep(image))
        return
    header = header_of(path)
    if header and header.is_plain:
        return
    with opened_image(path) as opened:
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            if is_deep(opened) or opened.has_transparency_data:
                depth = own_depth(opened)
                yield frame_of(opened), depth
            elif not getattr(opened, "is_animated", False):
                break
