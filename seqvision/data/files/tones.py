"""Tones of a set of pictures: the values of black and white, and the paper of transparent ones."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

# Floats from 0 to 1, and whole numbers of 8, 10, 12, 14 and 16 bits. One file alone tells less
# than a set: of the depths of its own it has only those that differ by much.
_FULL = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_FULL_OF_A_FILE = tuple(full for full in _FULL if full not in (1023.0, 16383.0))

# Values that are scaled at once.
_CHUNK = 2**20

FORMULA = "round(255 * clip((v - low) / (high - low), 0, 1))"
"""How values v become bytes, over a range from low to high; see `as_bytes`."""

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Tones:
    """The tones of all pictures of a set, so that equal values are equal in each of them.

    Attributes:
      value_range: the values of deep pictures (more than 8 bits, or floats) that become 0 and 255;
        None takes 0 and the depth that each file seems to have.
      paper: `black` or `white`, what transparent pictures are laid on; "" chooses for each file.
      more_ranges: those of a second and a third channel of grey pictures; () where there is one.
      kinds: what the values of the training files are, such as "CT in HU, MONOCHROME2, signed".
      chosen: how the ranges were chosen, such as "ct:brain"; "" by the values of the set.
    """

    value_range: Range | None = None
    paper: str = ""
    more_ranges: tuple[Range, ...] = ()
    kinds: tuple[str, ...] = ()
    chosen: str = ""

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Of all channels; () where each file has its own."""
        return (self.value_range, *self.more_ranges) if self.value_range else ()

    @property
    def recipe(self) -> str:
        """How values v become bytes, with all ranges; "" where each file has its own."""
        each = [f"{low:.9g} to {high:.9g}" for low, high in self.ranges]
        one_each = " (a channel for each)" if self.more_ranges else ""
        return f"{FORMULA} with low to high {', '.join(each)}{one_each}" if each else ""

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "Tones":
        """The tones as they were written by `dataclasses.asdict`.

        Raises:
          KeyError, TypeError, ValueError: they are damaged.
        """
        if facts["paper"] not in ("", "black", "white"):
            raise ValueError(f"paper {facts['paper']!r}")
        more = tuple(_range_of_json(one) for one in facts.get("more_ranges", ()))
        kinds, chosen = tuple(facts.get("kinds", ())), facts.get("chosen", "")
        if not all(isinstance(text, str) for text in (*kinds, chosen)) or len(more) not in (0, 2):
            raise ValueError(f"kinds {kinds!r}, chosen {chosen!r}, more_ranges {more!r}")
        first = None if facts["value_range"] is None else _range_of_json(facts["value_range"])
        return cls(first, facts["paper"], more, kinds, chosen)

    def __str__(self) -> str:
        parts = []
        if self.value_range:
            ranges = [f"{low:g} (black) to {high:g} (white)" for low, high in self.ranges]
            how = f"{self.chosen}: " if self.chosen else ""
            channels = f" as {len(ranges)} channels" if self.more_ranges else ""
            parts.append(f"{how}{', '.join(ranges)} are read as 0 to 255{channels}")
        if self.kinds:
            parts.append(" and ".join(self.kinds))
        if self.paper:
            parts.append(f"transparent ones lie on {self.paper}")
        return "; ".join(parts)


def _range_of_json(found: Any) -> Range:
    low, high = found
    if not all(isinstance(value, int | float) for value in (low, high)) or not low < high:
        raise ValueError(f"value_range {found!r}")
    return low, high


FILE_BY_FILE = Tones()
"""Of pictures outside class folders, of sets without deep and transparent ones, of older runs."""


def range_of_extremes(smallest: float, largest: float) -> tuple[float, float]:
    """The range of a set whose values go from `smallest` to `largest`.

    Where none is negative it begins at 0 and ends at a depth of which more than half is used
    (1, 8, 10, 12, 14 or 16 bits), else at the largest value.
    """
    if smallest >= 0:
        full = next((full for full in _FULL if largest <= full), np.inf)
        smallest, largest = 0.0, full if largest > full / 2 else largest
    return smallest, largest if largest > smallest else smallest + 1


def range_of_file(largest: float) -> tuple[float, float]:
    """The range of a file of no set, whose largest value is `largest`: 1, 8, 12 or 16 bits."""
    return 0.0, next((full for full in _FULL_OF_A_FILE if largest <= full), _FULL[-1])


def in_channels(values: np.ndarray, ranges: Sequence[Range]) -> np.ndarray:
    """Values (..., channels) as uint8; of one channel and several ranges, a channel for each."""
    if len(ranges) == 1 or values.shape[-1] != 1:
        return as_bytes(values, ranges[0])
    return np.concatenate([as_bytes(values, one) for one in ranges], axis=-1)


def as_bytes(values: np.ndarray, value_range: Range) -> np.ndarray:
    """Values as uint8, 0 to 255 over `value_range`; NaN is its low end."""
    low, high = value_range
    scaled = np.empty(values.shape, np.uint8)
    # Some rows after the other: as floats of 64 bits a large picture would be several times larger.
    step = max(_CHUNK // max(values[:1].size, 1), 1)
    for start in range(0, len(values), step):
        part = values[start : start + step].astype(np.float64)
        finite = np.nan_to_num(part, nan=low, posinf=high, neginf=low)
        scaled[start : start + step] = np.clip((finite - low) * 255 / (high - low), 0, 255).round()
    return scaled
