"""Tones of the user's training files, decided once for the whole set."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqvision.data.files.opening import UnreadableImageError, opened_image
from seqvision.data.files.paths import shown
from seqvision.data.files.pixels import frame_of, ink, is_deep, paper_for
from seqvision.data.files.tones import Tones, range_of_extremes
from seqvision.data.sources.scan_cache import load_json, save_json


def tones_of(
    files: list[Path], stated: Tones, kept: Path | None, say: Callable[[str], None]
) -> Tones:
    """The tones of image files.

    Args:
      files: those of the training split. What cannot be opened as an image (videos among it) is
        passed over.
      stated: what the user chose; the rest is decided by the files.
      kept: a file that keeps the result for the next start, since to decide means to decode; None
        keeps nothing.
      say: called with a line where some files are deep and others are not.

    Returns:
      What is stated; else `value_range` None where no file is deep, `paper` "" where none is
      transparent.
    """
    if stated.value_range and stated.paper:
        return stated
    found = _kept(kept) or _found(files, stated)
    tones, remark = found
    if remark:
        say(remark)
    if kept and tones != stated:
        save_json(kept, [dataclasses.asdict(tones), remark])
    return tones


def _kept(path: Path | None) -> tuple[Tones, str] | None:
    try:
        facts, remark = load_json(path)
        return Tones.from_json(facts), str(remark)
    except (TypeError, ValueError, KeyError):  # Nothing is there, or it is damaged.
        return None


def _found(files: list[Path], stated: Tones) -> tuple[Tones, str]:
    smallest, largest, light, total = math.inf, -math.inf, 0.0, 0.0
    deep: list[Path] = []
    shallow: list[Path] = []
    transparent = False
    for path in files:
        try:
            with opened_image(path) as opened:
                for number in range(getattr(opened, "n_frames", 1)):
                    opened.seek(number)
                    if is_deep(opened):
                        values = np.asarray(frame_of(opened), np.float64)
                        values = values[np.isfinite(values)]
                        smallest = min(smallest, values.min(initial=math.inf))
                        largest = max(largest, values.max(initial=-math.inf))
                    elif opened.has_transparency_data:
                        transparent = True
                        seen = ink([opened.convert("RGBA")])
                        light, total = light + seen[0], total + seen[1]
                    elif not getattr(opened, "is_animated", False):
                        break
                (deep if is_deep(opened) else shallow).append(path)
        except UnreadableImageError:
            continue
    remark = ""
    if deep and shallow:
        remark = (
            f"{len(deep)} files have more than 8 bits a value, such as {shown(deep[0])}, and"
            f" {len(shallow)} have 8, such as {shown(shallow[0])}: equal values differ in these"
        )
    value_range, paper = stated.value_range, stated.paper
    if value_range is None and largest >= smallest:
        value_range = range_of_extremes(smallest, largest)
    if not paper and transparent:
        paper = paper_for(light, total)
    return Tones(value_range, paper), remark
