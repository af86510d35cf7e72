"""ResNet-18 and ResNet-50 (He et al., 2016), as `torchvision.models.resnet` and timm have them."""

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.backbones.layers import ConvNorm
from seqvision.models.backbones.network import BackboneNetwork
from seqvision.shapes import FeatureMaps, Images

STAGES = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """Two convolutions 3x3, or 1x1, 3x3, 1x1 with four times the channels; and what came in.

    Attributes:
      channels: of the convolutions.
      stride: of the (first) convolution 3x3.
      bottleneck: three convolutions.
      projects: what came in passes a convolution 1x1.
      dtype: precision of the convolutions.
    """

    channels: int
    stride: int
    bottleneck: bool
    projects: bool
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, maps: Images) -> FeatureMaps:
        channels, stride, dtype = self.channels, self.stride, self.dtype
        out = 4 * channels if self.bottleneck else channels
        short = maps
        if self.projects:
            short = ConvNorm(out, 1, stride, dtype=dtype, name="shortcut")(maps)
        if self.bottleneck:
            maps = ConvNorm(channels, 1, 1, "relu", dtype=dtype, name="conv_1")(maps)
            maps = ConvNorm(channels, 3, stride, "relu", dtype=dtype, name="conv_2")(maps)
            maps = ConvNorm(out, 1, dtype=dtype, name="conv_3")(maps)
        else:
            maps = ConvNorm(channels, 3, stride, "relu", dtype=dtype, name="conv_1")(maps)
            maps = ConvNorm(out, 3, dtype=dtype, name="conv_2")(maps)
        return nn.relu(maps + short)


class ResNet(BackboneNetwork):
    """See the module.

    Attributes:
      sizes: residual blocks of each of the four stages.
      bottleneck: see `ResidualBlock`.
    """

    sizes: tuple[int, int, int, int] = (2, 2, 2, 2)
    bottleneck: bool = False

    def stage_of(self, layer: str) -> int:
        """See `BackboneNetwork`."""
        return 0 if layer == "stem" else int(layer.split("_")[1])

    @nn.compact
    def __call__(self, images: Images) -> FeatureMaps:
        """(B, height, width, 3), normalised, to (B, height / 32, width / 32, D)."""
        maps = ConvNorm(64, 7, 2, "relu", dtype=self.dtype, name="stem")(images)
        maps = nn.max_pool(maps, (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps = self.boundary(maps, 1)
        for stage, (channels, size) in enumerate(zip(STAGES, self.sizes, strict=True)):
            for number in range(size):
                stride = 2 if stage and not number else 1
                projects = not number and (stage > 0 or self.bottleneck)
                block = ResidualBlock(
                    channels,
                    stride,
                    self.bottleneck,
                    projects,
                    self.dtype,
                    name=f"stage_{stage + 1}_block_{number}",
                )
                maps = block(maps)
            maps = self.boundary(maps, stage + 2)
        return maps
