"""Options with which the user's own examples are loaded."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from seqvision.data.files.tones import FILE_BY_FILE, Tones

Size = tuple[int, int, int]
"""Height, width and channels; 0 is as they are."""


@dataclasses.dataclass(frozen=True)
class Loading:
    """Options of all sources of the user's own examples.

    Attributes:
      size: height, width and channels to bring all to; 0 is what the examples have, which is one
        channel where all of them are grey.
      kind: of arrays, see `npz_file.example_frames`; of folders, see `folder_layout`.
      target: what is to be predicted, see `targets.Targets`, or `auto`.
      reads_clips: whether the network reads clips.
      tones: what the user chose for deep and transparent pictures.
      percentiles: what `config.data.value_range` states of them; see `set_tones`.
      group_pattern: see `groups.groups_of`.
      broken_files: `fail` or `skip`, where a file cannot be read.
      validation_fraction, test_fraction: how much of the examples to hold out where the user made
        no such split; see `hash_split`.
      resident_bytes: a larger set is streamed.
      cache_dir: where the scan of such a set is kept (which examples can be read, their sizes, and
        which are held out); None keeps nothing.
      say: called with lines about what is left out or went wrong.
      show_progress: draw a progress bar.
    """

    size: Size = (0, 0, 0)
    kind: str = "auto"
    target: str = "auto"
    reads_clips: bool = False
    tones: Tones = FILE_BY_FILE
    percentiles: tuple[float, float] | None = None
    group_pattern: str = ""
    broken_files: str = "fail"
    validation_fraction: float = 0.0
    test_fraction: float = 0.0
    resident_bytes: float = math.inf
    cache_dir: Path | None = None
    say: Callable[[str], None] = print
    show_progress: bool = False


def size_of(own: Size, asked: Size) -> Size:
    """What an example of its own size is brought to."""
    height, width, channels = (new or old for new, old in zip(asked, own, strict=True))
    return height, width, channels
