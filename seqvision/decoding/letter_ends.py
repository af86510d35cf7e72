"""Where letters end, by what a network says when."""

from typing import Any

import numpy as np


def letter_ends(starts: np.ndarray, delay: int, num_columns: Any = None) -> np.ndarray:
    """The column where each symbol ends, by the first column that says it.

    It is said 1 to `delay` columns later, so the middle is at most `delay // 2` columns off.

    Args:
      starts: the first columns.
      delay: 0 where columns were not known in training (see `Settings.letter_delay`): nobody can
        tell how late the network is, and symbols are taken to end where it says them first.
      num_columns: of the line, as `starts` or for all: in the empty columns behind it nothing ends.
    """
    last = None if num_columns is None else np.maximum(num_columns - 1, 0)
    return np.clip(starts - (1 + delay) // 2, 0, last)
