"""Inverted residual blocks (Sandler et al., 2018): EfficientNet-Lite0 and MobileNetV3-Small."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.backbones.layers import ConvNorm, SqueezeExcite
from seqvision.models.backbones.network import BackboneNetwork
from seqvision.shapes import FeatureMaps, Images


class Block(NamedTuple):
    """One block: its sizes.

    Attributes:
      stage: it belongs to; the stem is stage 0.
      kernel_size, stride: of its depthwise convolution.
      expanded: channels between its convolutions; there is no first one where they are those
        that come in.
      channels: of its output.
      squeezed: see `SqueezeExcite.channels`; 0 for none.
      activation: see `layers.ACTIVATIONS`.
    """

    stage: int
    kernel_size: int
    stride: int
    expanded: int
    channels: int
    squeezed: int
    activation: str


def _lite_blocks() -> tuple[Block, ...]:
    """Of EfficientNet-Lite0: no squeeze-and-excite, ReLU6 (Tan & Le, 2019; Liu, 2020)."""
    groups = (
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
    )  # fmt: skip
    blocks, before = [], 32
    for stage, (factor, kernel_size, stride, channels, count) in enumerate(groups, 1):
        for number in range(count):
            step = 1 if number else stride
            blocks.append(Block(stage, kernel_size, step, factor * before, channels, 0, "relu6"))
            before = channels
    return tuple(blocks)


LITE_BLOCKS = _lite_blocks()
SMALL_BLOCKS = tuple(
    Block(stage, kernel_size, stride, expanded, channels, squeezed, activation)
    for stage, kernel_size, stride, expanded, channels, squeezed, activation in (
        (1, 3, 2, 16, 16, 8, "relu"),
        (2, 3, 2, 72, 24, 0, "relu"), (2, 3, 1, 88, 24, 0, "relu"),
        (3, 5, 2, 96, 40, 24, "hard_swish"), (3, 5, 1, 240, 40, 64, "hard_swish"),
        (3, 5, 1, 240, 40, 64, "hard_swish"), (3, 5, 1, 120, 48, 32, "hard_swish"),
        (3, 5, 1, 144, 48, 40, "hard_swish"),
        (4, 5, 2, 288, 96, 72, "hard_swish"), (4, 5, 1, 576, 96, 144, "hard_swish"),
        (4, 5, 1, 576, 96, 144, "hard_swish"),
    )
)  # fmt: skip
"""Of MobileNetV3-Small (Howard et al., 2019, table 2)."""


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise, weigh the channels, project 1x1; and what came in where it fits.

    Attributes:
      block: its sizes.
      like_tensorflow: see `layers.padding_of`.
      dtype: precision of the convolutions.
    """

    block: Block
    like_tensorflow: bool
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, maps: Images) -> FeatureMaps:
        one, dtype, came_in = self.block, self.dtype, maps
        if one.expanded != maps.shape[-1]:
            maps = ConvNorm(one.expanded, 1, 1, one.activation, dtype=dtype, name="expand")(maps)
        maps = ConvNorm(
            one.expanded,
            one.kernel_size,
            one.stride,
            one.activation,
            depthwise=True,
            like_tensorflow=self.like_tensorflow,
            dtype=dtype,
            name="depthwise",
        )(maps)
        if one.squeezed:
            maps = SqueezeExcite(one.squeezed, dtype, name="squeeze")(maps)
        maps = ConvNorm(one.channels, 1, dtype=dtype, name="project")(maps)
        fits = one.stride == 1 and came_in.shape[-1] == one.channels
        return maps + came_in if fits else maps


class InvertedNet(BackboneNetwork):
    """Stem 3x3, inverted residual blocks, head 1x1.

    Attributes:
      blocks: in their order.
      stem, head: channels of the first and of the last convolution.
      activation: of these two.
      like_tensorflow: see `layers.padding_of`.
    """

    blocks: tuple[Block, ...] = LITE_BLOCKS
    stem: int = 32
    head: int = 1280
    activation: str = "relu6"
    like_tensorflow: bool = False

    def stage_of(self, layer: str) -> int:
        """See `BackboneNetwork`. The head belongs to the last stage."""
        if layer == "stem":
            return 0
        return self.blocks[-1 if layer == "head" else int(layer.split("_")[1])].stage

    @nn.compact
    def __call__(self, images: Images) -> FeatureMaps:
        """(B, height, width, 3), normalised, to (B, height / 32, width / 32, head)."""
        dtype, same = self.dtype, self.like_tensorflow
        stem = ConvNorm(
            self.stem, 3, 2, self.activation, like_tensorflow=same, dtype=dtype, name="stem"
        )
        maps, stage = stem(images), 0
        for number, block in enumerate(self.blocks):
            if block.stage > stage:
                stage = block.stage
                maps = self.boundary(maps, stage)
            maps = InvertedResidual(block, same, dtype, name=f"block_{number}")(maps)
        head = ConvNorm(self.head, 1, 1, self.activation, dtype=dtype, name="head")
        return head(maps)
