"""Doubts about a file to predict on: it can be read, and looks unlike the training images."""

from collections.abc import Collection, Sequence

import numpy as np

from seqvision.data.files.deep import DeepPixels
from seqvision.data.files.tones import Range
from seqvision.data.files.writing_rows import PAGE_ROWS, num_rows_of_writing

NOTHING_READ = "nothing was read in it"
# So many times wider, or higher, than the training images.
_MOST_STRETCHED = 2.5
# Of the height of the training images, the least that a page has.
_LEAST_PAGE = 2


class Doubts:
    """Collects what is doubtful about one file after the other.

    Args:
      size: height and width that all training images had; None where they had many.
      most_cut: the fraction of a file's values that may lie outside the run's range.
    """

    def __init__(self, size: tuple[int, int] | None = None, most_cut: float = 0.5) -> None:
        self._size, self._most_cut = size, most_cut
        self._found: list[str] = []

    def taken(self) -> str | None:
        """What was found since the last call, in one line; None where there is no doubt."""
        found, self._found = self._found, []
        return "; ".join(dict.fromkeys(found)) or None

    def of_values(self, pictures: list[DeepPixels], ranges: Sequence[Range]) -> None:
        """Deep pictures of one file, most of whose values are cut to black or white."""
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        seen = np.concatenate([pixels.seen.ravel() for pixels in pictures])
        outside = float(((seen < low) | (seen > high)).mean()) if seen.size else 0.0
        if outside > self._most_cut or outside == 1:
            self._found.append(
                f"{outside:.0%} of its values ({seen.min():g} to {seen.max():g}) lie outside"
                f" {low:g} to {high:g}, the range of this run"
            )

    def of_kind(self, kinds: Collection[str], trained: Collection[str]) -> None:
        """Values of another kind (a modality in its unit) than those of all training files."""
        known = {kind.split(",")[0] for kind in trained}
        other = sorted({kind.split(",")[0] for kind in kinds} - known)
        if known and other:
            self._found.append(
                f"its values are {' and '.join(other)}, and this run was trained on"
                f" {' and '.join(sorted(known))}"
            )

    def of_8_bits(self, value_range: tuple[float, float]) -> None:
        """Pictures of 8 bits, given to a run that has a range for deep ones."""
        low, high = value_range
        self._found.append(
            "it has 8 bits a value, and this run reads deep pictures:"
            f" its 0 to 255 are taken for {low:g} to {high:g}"
        )

    def of_levels(self, pixels: np.ndarray) -> None:
        """An image or a clip that shows nothing."""
        if pixels.size and pixels.min() == pixels.max():
            self._found.append("all of its pixels are equal")

    def of_shape(self, pixels: np.ndarray) -> None:
        """An image (height, width, channels) of other proportions than all training images."""
        if self._size is None:
            return
        (height, width), (own_height, own_width) = self._size, pixels.shape[:2]
        stretched = (own_width * height) / (own_height * width)
        if max(stretched, 1 / stretched) > _MOST_STRETCHED:
            self._found.append(
                f"its proportions, {own_height} x {own_width} (height x width), are far from those"
                f" of the training images, {height} x {width}"
            )

    def of_rows(self, pixels: np.ndarray) -> None:
        """An image (height, width, 1), light ink on dark, that shows a page."""
        if self._size is None or len(pixels) < _LEAST_PAGE * self._size[0]:
            return
        if (rows := num_rows_of_writing(pixels)) >= PAGE_ROWS:
            self._found.append(f"it shows {rows} rows of ink, like a page")
