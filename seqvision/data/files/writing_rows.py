"""Rows of writing in a picture: one of a line has one, a page has many."""

import numpy as np

# A page has at least so many rows of writing, each of so many pixels.
PAGE_ROWS = 4
_ROW_PIXELS = 4


def num_rows_of_writing(pixels: np.ndarray) -> int:
    """How many bands of ink lie one below the other in (height, width, 1), light ink on dark."""
    has_ink = (pixels[..., 0] > 127).mean(axis=1) > 0.01
    edges = np.flatnonzero(np.diff(np.pad(has_ink.astype(np.int8), 1)))
    heights = edges[1::2] - edges[::2]
    if len(heights) == 0:
        return 0
    # No dots, accents or ruled lines.
    return int((heights >= max(_ROW_PIXELS, np.max(heights) / 3)).sum())
