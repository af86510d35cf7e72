"""Sequence makers: they turn an image or a clip into a sequence, each with its own time step."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from seqvision.models.backbones import Backbone
from seqvision.models.cnn import CNN
from seqvision.models.column_cnn import ColumnCNN
from seqvision.shapes import Clips, Images, Sequence


class SequenceMaker(nn.Module):
    """Base class: its options, of which each maker uses those it has a use for.

    Attributes:
      patch_size: height and width of a patch in pixels.
      cnn_channels: of each block of the CNN.
      cnn_padding: `same` or `valid`, see `cnn.ConvBlock`.
      cnn_per_frame: the CNN has weights of its own for each frame of a clip, see `cnn.CNN`.
      backbone: a name in `backbones.BACKBONES` in place of the CNN, or `none`.
      backbone_trainable: see `backbones.Backbone`.
      dtype: precision of the CNN's convolutions.
    """

    patch_size: int = 4
    cnn_channels: tuple[int, ...] = (32, 64)
    cnn_padding: str = "same"
    cnn_per_frame: bool = False
    backbone: str = "none"
    backbone_trainable: str = "none"
    dtype: jnp.dtype | None = None

    @property
    def context(self) -> int:
        """How many columns before a step it reads together with it."""
        return 0


class Rows(SequenceMaker):
    """Each row is one step, top to bottom."""

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, height, width * channels)."""
        return _joined_rows(images)


class Columns(SequenceMaker):
    """Each column is one step, left to right."""

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, width, height * channels)."""
        return _joined_rows(images.swapaxes(1, 2))


class Pixels(SequenceMaker):
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


class Patches(SequenceMaker):
    """Each square patch is one step, row by row of patches."""

    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, patches, patch_size * patch_size * channels).

        Raises:
          ValueError: the patches do not tile the image.
        """
        num_images, height, width, channels = images.shape
        size = self.patch_size
        down, across = height // size, width // size
        if (down * size, across * size) != (height, width):
            raise ValueError(f"patches of {size}x{size} do not tile an image of {height}x{width}")
        tiles = images.reshape(num_images, down, size, across, size, channels)
        return tiles.swapaxes(2, 3).reshape(num_images, down * across, -1)


class CNNFeatures(SequenceMaker):
    """All CNN features of an image are one single step."""

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, 1, features)."""
        maps = _cnn(self)(images)
        return maps.reshape(images.shape[0], 1, -1)


class CNNRows(SequenceMaker):
    """Each row of the CNN's feature map is one step, top to bottom."""

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, width, channels) to (B, map height, map width * map channels)."""
        return _joined_rows(_cnn(self)(images))


class CNNColumns(SequenceMaker):
    """Each column is one step, read by a CNN together with the columns just before it.

    It reads no later column: its look-ahead is 0.
    """

    @property
    def context(self) -> int:
        return ColumnCNN.context_of(self.cnn_channels)

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, context + width, channels) to (B, width, map channels * map height)."""
        return ColumnCNN(self.cnn_channels, self.dtype, name="cnn")(images)


class Frames(SequenceMaker):
    """Each frame of a clip is one step: its features from one CNN, or backbone, for all frames.

    With `cnn_per_frame`, from a CNN of its own for each frame position: the network then reads
    clips of the T frames that it was made with, and no others.
    """

    @nn.compact
    def __call__(self, clips: Clips) -> Sequence:
        """(B, T, height, width, channels) to (B, T, features)."""
        num_clips, num_frames, *image_shape = clips.shape
        if self.cnn_per_frame:
            maps = _cnn(self, per_frame=True)(clips.swapaxes(0, 1)).swapaxes(0, 1)
            return maps.reshape(num_clips, num_frames, -1)
        # Folded into the batch: to the CNN, frames are images like any other.
        images = clips.reshape(num_clips * num_frames, *image_shape)
        if self.backbone == "none":
            features = _cnn(self)(images)
        else:
            network = Backbone(
                self.backbone, self.backbone_trainable, dtype=self.dtype, name="backbone"
            )
            features = network(images)
        return features.reshape(num_clips, num_frames, -1)


class ReadyFeatures(SequenceMaker):
    """Each frame of a clip is one step: the features that were computed of it beforehand."""

    def __call__(self, clips: Clips) -> Sequence:
        """(B, T, 1, 1, D) to (B, T, D)."""
        return clips.reshape(*clips.shape[:2], -1)


SEQUENCES: dict[str, Callable[..., SequenceMaker]] = {
    "rows": Rows,
    "columns": Columns,
    "pixels": Pixels,
    "permuted_pixels": functools.partial(Pixels, permuted=True),
    "patches": Patches,
    "cnn": CNNFeatures,
    "cnn_rows": CNNRows,
    "frames": Frames,
    "features": ReadyFeatures,
}
"""What a classifier can read."""

COLUMNS: dict[str, Callable[..., SequenceMaker]] = {"columns": Columns, "cnn_columns": CNNColumns}
"""What a line reader can read."""


def create_sequence(
    name: str, makers: Mapping[str, Callable[..., SequenceMaker]] = SEQUENCES, **options: Any
) -> SequenceMaker:
    """The sequence maker of that name, one of `makers`; options as in `SequenceMaker`.

    Raises:
      ValueError: there is no such maker.
    """
    if name not in makers:
        raise ValueError(f"sequence '{name}' is not known; choose one of {', '.join(makers)}")
    return makers[name](**options)


def _cnn(maker: SequenceMaker, per_frame: bool = False) -> CNN:
    """The CNN of a maker, as its submodule `cnn`."""
    return CNN(maker.cnn_channels, maker.dtype, maker.cnn_padding, per_frame, name="cnn")


def _joined_rows(images: Images) -> Sequence:
    """The channels of a row's pixels side by side."""
    num_images, height, width, channels = images.shape
    return images.reshape(num_images, height, width * channels)
