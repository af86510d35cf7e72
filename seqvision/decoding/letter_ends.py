"""Estimates of the columns where letters end, from the columns in which a network outputs them."""

from typing import Any

import numpy as np


def letter_ends(starts: np.ndarray, delay: int, num_columns: Any = None) -> np.ndarray:
    """The column where each symbol ends, estimated from the first column that outputs it.

    It is output 1 to `delay` columns later, so the middle is at most `delay // 2` columns off.

    Args:
      starts: the first columns.
      delay: 0 where columns were not known in training (see `Settings.letter_delay`): the delay of
        the network is unknown, and symbols are taken to end where it outputs them first.
      num_columns: of the line, as `starts` or for all: in the empty columns behind it nothing ends.
    """
    last = None if num_columns is None else np.maximum(num_columns - 1, 0)
    return np.clip(starts - (1 + delay) // 2, 0, last)


def letter_end(start: int, delay: int, num_columns: int | None = None) -> int:
    """`letter_ends` of one symbol, a dozen times sooner than of an array."""
    end = max(start - (1 + delay) // 2, 0)
    return end if num_columns is None else min(end, max(num_columns - 1, 0))
