"""The time steps of an image, a clip or a line, as a network reads them, and the way back."""

import dataclasses

import numpy as np
from jax import Array
from jaxtyping import UInt8

# Along which axes of a picture its steps extend; along both, where they are not named here.
_ACROSS = {"rows": (-2,), "cnn_rows": (-2,), "columns": (-3,), "cnn_columns": (-3,)}

AnySteps = UInt8[Array, "T ..."]
Example = UInt8[Array, "..."]


@dataclasses.dataclass(frozen=True)
class StepLayout:
    """How the steps of one input lie in its array.

    Attributes:
      sequence: see `config.model.sequence`; not `cnn`, whose input is a single step. For `cnn_rows`
        and `cnn_columns` a step is a row or a column of what the CNN reads.
      patch_size: of `patches`.
    """

    sequence: str
    patch_size: int = 4

    @property
    def name(self) -> str:
        """What the steps are."""
        return self.sequence.removeprefix("cnn_").replace("_", " ")

    @property
    def across(self) -> tuple[int, ...]:
        """The axes of a picture (..., height, width, channels) along which a step extends."""
        return _ACROSS.get(self.sequence, (-3, -2))

    def steps(self, example: Example) -> AnySteps:
        """(height, width, channels), or frames of it, as (T, ...)."""
        if self.sequence in ("columns", "cnn_columns"):
            return example.swapaxes(0, 1)
        if self.sequence in ("pixels", "permuted_pixels"):
            pixels = example.reshape(-1, example.shape[-1])
            return pixels[self._order(len(pixels))]
        if self.sequence == "patches":
            height, width, channels = example.shape
            size = self.patch_size
            tiles = example.reshape(height // size, size, width // size, size, channels)
            return tiles.swapaxes(1, 2).reshape(-1, size, size, channels)
        return example

    def example(self, steps: AnySteps, shape: tuple[int, ...]) -> Example:
        """The way back; the steps may have become more.

        Args:
          steps: as from `steps`.
          shape: of the example that it was.
        """
        if self.sequence in ("columns", "cnn_columns"):
            return steps.swapaxes(0, 1)
        if self.sequence in ("pixels", "permuted_pixels"):
            return steps[np.argsort(self._order(len(steps)))].reshape(shape)
        if self.sequence == "patches":
            height, width, channels = shape
            size = self.patch_size
            tiles = steps.reshape(height // size, width // size, size, size, channels)
            return tiles.swapaxes(1, 2).reshape(shape)
        return steps

    def _order(self, num_pixels: int) -> np.ndarray:
        """See `models.sequences.Pixels`."""
        if self.sequence == "pixels":
            return np.arange(num_pixels)
        return np.random.RandomState(0).permutation(num_pixels)
