"""A small convolutional network in front of a recurrent one."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from seqvision.shapes import FeatureMaps, Images

Kernel = Float[Array, "3 3 channels map_channels"]
Bias = Float[Array, " map_channels"]

# Their neighbourhoods stay in the cache of a core: of 1 to 16, the fastest on CPU.
_GROUP_SIZE = 4


class Conv3x3(nn.Module):
    """The parameters of a convolution, as in `nn.Conv` with a 3x3 kernel.

    Attributes:
      channels: how many it makes.
    """

    channels: int

    @nn.compact
    def __call__(self, num_channels: int) -> tuple[Kernel, Bias]:
        """Kernel and bias for images of `num_channels`."""
        shape = (3, 3, num_channels, self.channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return kernel, self.param("bias", nn.initializers.zeros, (self.channels,))


class ConvBlock(nn.Module):
    """Convolution 3x3 of images in a border of 0, ReLU, max-pool 2x2.

    Attributes:
      channels: of the convolution.
      dtype: its precision.
    """

    channels: int
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> FeatureMaps:
        """(B, height, width, C) to (B, height / 2, width / 2, channels), rounded up."""
        kernel, bias = Conv3x3(self.channels, name="conv")(images.shape[-1])
        images, kernel, bias = nn.dtypes.promote_dtype(images, kernel, bias, dtype=self.dtype)
        # Inside the loop over training steps, XLA's convolution is dozens of times slower on CPU.
        block = block_in_groups if jax.default_backend() == "cpu" else block_at_once
        return block(images, kernel, bias)


def block_at_once(images: Images, kernel: Kernel, bias: Bias) -> FeatureMaps:
    """Images (B, height, width, C) to (B, height / 2, width / 2, channels), for accelerators."""
    return pooled(as_convolution(images, kernel), bias)


def block_in_groups(images: Images, kernel: Kernel, bias: Bias) -> FeatureMaps:
    """The same, a few images at a time, for CPUs.

    What lies between images and result is nine times as large as the images: of a whole batch it
    has to come from memory. The gradient computes it once more rather than to read it from there.
    """

    def of_group(group: Images) -> FeatureMaps:
        return pooled(as_product(group, kernel), bias)

    size = math.gcd(len(images), _GROUP_SIZE)
    groups = images.reshape(-1, size, *images.shape[1:])
    # In a loop, no barrier is needed to keep what is computed anew from being stored instead.
    maps = jax.lax.map(jax.checkpoint(of_group, prevent_cse=False), groups)
    return maps.reshape(-1, *maps.shape[2:])


def as_convolution(images: Images, kernel: Kernel) -> FeatureMaps:
    """Images (B, height, width, C) convolved with a kernel (3, 3, C, channels)."""
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def as_product(images: Images, kernel: Kernel) -> FeatureMaps:
    """The same as one matrix product over each pixel's 3x3 neighbourhood."""
    num_images, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = [
        padded[:, down : down + height, right : right + width]
        for down in range(3)
        for right in range(3)
    ]
    patches = jnp.concatenate(neighbours, axis=-1).reshape(-1, 9 * channels)
    products = patches @ kernel.reshape(9 * channels, -1)
    return products.reshape(num_images, height, width, -1)


def pooled(products: Images, bias: Bias) -> FeatureMaps:
    """Bias, ReLU, max-pool: in the other order, which gives the same for a quarter of the work."""
    maps = max_pool(products)
    return nn.relu(maps + jnp.broadcast_to(bias, maps.shape))


class CNN(nn.Module):
    """One `ConvBlock` after another.

    Attributes:
      channels: of each block.
      dtype: precision of the convolutions.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> FeatureMaps:
        """(B, height, width, C) to feature maps: each block halves height and width."""
        maps = images
        for number, channels in enumerate(self.channels):
            maps = ConvBlock(channels, self.dtype, name=f"block_{number}")(maps)
        return maps


def max_pool(images: Images) -> FeatureMaps:
    """The largest of each 2x2 pixels; an odd last row or column stands alone.

    A reshape and a maximum, as XLA's gradient of `nn.max_pool` is slow on CPU.
    """
    num_images, height, width, channels = images.shape
    lowest = jnp.finfo(images.dtype).min
    even = jnp.pad(
        images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), constant_values=lowest
    )
    pairs = even.reshape(num_images, -(-height // 2), 2, -(-width // 2), 2, channels)
    return pairs.max(axis=(2, 4))
