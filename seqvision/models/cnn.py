"""A small convolutional network in front of a recurrent one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from seqvision.shapes import FeatureMaps, Images

Kernel = Float[Array, "3 3 channels map_channels"]


class Conv3x3(nn.Module):
    """Convolution with a 3x3 kernel and bias; the border is padded with 0.

    Its parameters are those of `nn.Conv`: `kernel` (3, 3, C, channels), `bias` (channels,).

    Attributes:
      channels: how many it makes.
      dtype: precision of the products.
    """

    channels: int
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> FeatureMaps:
        """(B, height, width, C) to (B, height, width, channels)."""
        shape = (3, 3, images.shape[-1], self.channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        images, kernel, bias = nn.dtypes.promote_dtype(images, kernel, bias, dtype=self.dtype)
        # Inside the loop over training steps, XLA's convolution is dozens of times slower on CPU.
        convolve = as_product if jax.default_backend() == "cpu" else as_convolution
        outputs = convolve(images, kernel)
        return outputs + jnp.broadcast_to(bias, outputs.shape)


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


class ConvBlock(nn.Module):
    """Convolution 3x3, ReLU, max-pool 2x2.

    Attributes:
      channels: of the convolution.
      dtype: its precision.
    """

    channels: int
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> FeatureMaps:
        """(B, height, width, C) to (B, height / 2, width / 2, channels), rounded up."""
        return max_pool(nn.relu(Conv3x3(self.channels, self.dtype, name="conv")(images)))


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
