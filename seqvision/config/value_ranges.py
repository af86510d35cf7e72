"""Ranges that `config.data.value_range` can state: numbers, windows of CT, percentiles."""

import math
import re

from seqvision.errors import did_you_mean

Range = tuple[float, float]

# Centre and width in Hounsfield units: the usual ones of Radiopaedia, "Windowing (CT)"
# (radiopaedia.org/articles/windowing-ct); `subdural` and `soft`, for which it gives spans, as
# public code of the RSNA 2019 haemorrhage challenge has them.
CT_WINDOWS: dict[str, tuple[float, float]] = {
    "brain": (40, 80),
    "subdural": (80, 200),
    "stroke": (40, 40),
    "temporal_bones": (600, 2800),
    "soft": (40, 380),
    "lung": (-600, 1500),
    "mediastinum": (50, 350),
    "abdomen": (50, 400),
    "liver": (30, 150),
    "spine": (50, 250),
    "bone": (400, 1800),
}
_CT = "ct:"
_PERCENTILES = "percentiles:"
ALLOWED = (
    "auto; two numbers, the smaller one first, such as 0,4095; two percentiles, such as"
    " percentiles:1,99; a window, such as ct:brain; or three of these for three channels, such as"
    " ct:brain+subdural+bone"
)
"""What `config.data.value_range` may be, for errors."""


def parse_ranges(text: str) -> tuple[Range, ...]:
    """The ranges of one channel or of three; () for "auto" and percentiles.

    Raises:
      ValueError: it is none of these; the message says why where that is known.
    """
    if text == "auto" or parse_percentiles(text):
        return ()
    # Not the plus of 1e+5.
    parts = [part.strip() for part in re.split(r"(?<!\d[eE])\+", text)]
    if len(parts) not in (1, 3):
        raise ValueError(f"{len(parts)} ranges, where a network reads one channel or three")
    named = text.startswith(_CT)
    return tuple(_one_range(part, named) for part in parts)


def parse_range(text: str) -> Range | None:
    """The first of `parse_ranges`; None where there is none."""
    ranges = parse_ranges(text)
    return ranges[0] if ranges else None


def parse_percentiles(text: str) -> Range | None:
    """The percentiles that `config.data.value_range` states, such as "percentiles:1,99", or None.

    Raises:
      ValueError: they are not two numbers from 0 to 100, the first one smaller.
    """
    if not text.startswith(_PERCENTILES):
        return None
    low, high = _two_numbers(text.removeprefix(_PERCENTILES))
    if low < 0 or high > 100:
        raise ValueError("percentiles are from 0 to 100")
    return low, high


def _one_range(part: str, named: bool) -> Range:
    if named and part[:1] not in "-+.0123456789":
        name = part.removeprefix(_CT)
        if name not in CT_WINDOWS:
            known = ", ".join(CT_WINDOWS)
            near = did_you_mean(name, CT_WINDOWS)
            raise ValueError(f"'{name}' is no window; known are {known}{near}")
        centre, width = CT_WINDOWS[name]
        return centre - width / 2, centre + width / 2
    return _two_numbers(part)


def _two_numbers(text: str) -> Range:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise ValueError("") from None
    if not (math.isfinite(high - low) and low < high):
        raise ValueError("")
    return low, high
