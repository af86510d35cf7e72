"""The declaration of a config field: its default and its bound."""

import dataclasses
import math
from typing import Any

from seqvision.config.durations import LARGEST, Duration


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included unless `above` or `below` excludes them."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def allows(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and abs(value) < math.inf

    def __str__(self) -> str:
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'above' if self.above else 'at least'} {self.low}")
        if self.high < math.inf:
            parts.append(f"{'below' if self.below else 'at most'} {self.high}")
        return " and ".join(parts) or "a finite number"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of a few values."""

    values: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class AllIn:
    """A tuple, not empty, of whole numbers in `range`."""

    range: Range


Bound = Range | OneOf | AllIn | None
"""None: any value of the field's type."""

SIZE = Range(1, LARGEST)
COUNT = Range(0, LARGEST)
SIZES = AllIn(SIZE)
LARGEST_SIDE = 65535
PIXELS = Range(0, LARGEST_SIDE)
# Floats become float32 on the device.
FINITE = Range(-1e38, 1e38)
NON_NEGATIVE = Range(0, 1e38)
POSITIVE = Range(0, 1e38, above=True)
FRACTION = Range(0, 1)
BELOW_ONE = Range(0, 1, below=True)


def declare(default: Any, bound: Bound = None) -> Any:
    """A field of a section, which the docstring of its class describes.

    Args:
      default: its value in `configs/default.py`.
      bound: the values that it may have.
    """
    return dataclasses.field(default=default, metadata={"bound": bound})


def declare_duration(default: str) -> Any:
    """A field of type `Duration`; see `declare`."""
    return declare(Duration.parse(default))


def section(cls: type) -> Any:
    """A field that holds the fields of another dataclass."""
    return dataclasses.field(default_factory=cls)
