"""How an image or a clip becomes a sequence: what one time step is."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from seqvision.models.cnn import CNN, ColumnCNN
from seqvision.shapes import Clips, Images, Sequence


class Rows(nn.Module):
    """Each row is one step, top to bottom."""

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, height, width * channels)."""
        return _joined_rows(images)


class Columns(nn.Module):
    """Each column is one step, left to right."""

    context: ClassVar[int] = 0
    """How many columns before a step are seen with it; see `CNNColumns`."""

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, width, height * channels)."""
        return _joined_rows(images.swapaxes(1, 2))


class Pixels(nn.Module):
    """Each pixel is one step, row by row, or in one fixed random order.

    Attributes:
      permuted: read them in the order of `numpy.random.RandomState(0).permutation`, whose stream
        numpy keeps for ever: the same for every run and every image.
    """

    permuted: bool = False

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, height * width, channels)."""
        num_images, height, width, channels = images.shape
        pixels = images.reshape(num_images, height * width, channels)
        if self.permuted:
            pixels = pixels[:, np.random.RandomState(0).permutation(height * width)]
        return pixels


class Patches(nn.Module):
    """Each square patch is one step, row by row of patches.

    Attributes:
      size: height and width of a patch in pixels.
    """

    size: int

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, patches, size * size * channels).

        Raises:
          ValueError: the patches do not tile the image.
        """
        num_images, height, width, channels = images.shape
        down, across = height // self.size, width // self.size
        if (down * self.size, across * self.size) != (height, width):
            raise ValueError(
                f"patches of {self.size}x{self.size} do not tile an image of {height}x{width}"
            )
        tiles = images.reshape(num_images, down, self.size, across, self.size, channels)
        return tiles.swapaxes(2, 3).reshape(num_images, down * across, -1)


class CNNFeatures(nn.Module):
    """All CNN features of an image are one single step.

    Attributes:
      channels: see `CNN`.
      dtype: precision of the convolutions.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, 1, features)."""
        return CNN(self.channels, self.dtype, name="cnn")(images).reshape(len(images), 1, -1)


class CNNRows(nn.Module):
    """Each row of the CNN's feature map is one step, top to bottom.

    Attributes:
      channels: see `CNN`.
      dtype: precision of the convolutions.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, map height, map width * map channels)."""
        return _joined_rows(CNN(self.channels, self.dtype, name="cnn")(images))


class CNNColumns(nn.Module):
    """Each column is one step, seen by a CNN together with the columns just before it.

    It sees no column to come: its look-ahead is 0.

    Attributes:
      channels: see `ColumnCNN`.
      dtype: precision of the convolutions.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None

    @property
    def context(self) -> int:
        """How many columns before a step are seen with it."""
        return ColumnCNN.context_of(self.channels)

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, context + width, channels) to (B, width, map channels * map height)."""
        return ColumnCNN(self.channels, self.dtype, name="cnn")(images)


class Frames(nn.Module):
    """Each frame of a clip is one step: its features from one CNN with shared weights.

    Attributes:
      channels: see `CNN`.
      dtype: precision of the convolutions.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, clips: Clips) -> Sequence:
        """(B, T, height, width, channels) to (B, T, features)."""
        num_clips, num_frames, *image_shape = clips.shape
        # Folded into the batch: to the CNN, frames are images like any other.
        images = clips.reshape(num_clips * num_frames, *image_shape)
        features = CNN(self.channels, self.dtype, name="cnn")(images)
        return features.reshape(num_clips, num_frames, -1)


def _joined_rows(images: Images) -> Sequence:
    """The channels of a row's pixels side by side."""
    num_images, height, width, channels = images.shape
    return images.reshape(num_images, height, width * channels)
