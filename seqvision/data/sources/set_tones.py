"""Tones of the user's training files, decided once for the whole set."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from seqvision.data.files.images import UnreadableImageError
from seqvision.data.files.opening import opened_image
from seqvision.data.files.paths import shown
from seqvision.data.files.pixels import frame_of, ink, is_deep, paper_for
from seqvision.data.files.tones import Tones, range_of_extremes
from seqvision.runtime.atomic_write import write_atomically


def tones_of(files: Iterable[Path], stated: Tones, say: Callable[[str], None]) -> Tones:
    """The tones of image files.

    Args:
      files: those of the training split. What cannot be opened as an image (videos among it) is
        passed over.
      stated: what the user chose; the rest is decided by the files.
      say: called with a line where some files are deep and others are not.

    Returns:
      `value_range` None where no file is deep, `paper` "" where none is transparent.
    """
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
                        if not stated.paper:
                            seen = ink([opened.convert("RGBA")])
                            light, total = light + seen[0], total + seen[1]
                    elif not getattr(opened, "is_animated", False):
                        break
                (deep if is_deep(opened) else shallow).append(path)
        except UnreadableImageError:
            continue
    if deep and shallow:
        say(
            f"{len(deep)} files have more than 8 bits a value, such as {shown(deep[0])}, and"
            f" {len(shallow)} have 8, such as {shown(shallow[0])}: equal values differ in these"
        )
    value_range = stated.value_range
    if deep and value_range is None and largest >= smallest:
        value_range = range_of_extremes(smallest, largest)
    paper = stated.paper or paper_for(light, total)
    return Tones(value_range if deep else None, paper if transparent else "")


def kept_tones(path: Path | None, find: Callable[[], Tones]) -> Tones:
    """The tones that an earlier start kept in a file, or else what `find` finds, which is kept."""
    if path is None:
        return find()
    try:
        return Tones.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        tones = find()
    content = json.dumps(dataclasses.asdict(tones)).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write(content))
    except OSError:  # It is found again at the next start.
        pass
    return tones
