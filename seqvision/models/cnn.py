"""A small convolutional network in front of a recurrent one."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from seqvision.shapes import FeatureMaps, Images

Kernel = Float[Array, "3 3 channels map_channels"]
Bias = Float[Array, " map_channels"]
Windows = Float[Array, "B down 2 across 2 channels"]
# Of clips whose frame positions have a kernel each: frames first, batch second.
FrameImages = Float[Array, "T B height width channels"]
FrameMaps = Float[Array, "T B map_height map_width map_channels"]
FrameKernels = Float[Array, "T 3 3 channels map_channels"]
FrameBiases = Float[Array, "T map_channels"]

PADDINGS = ("same", "valid")
# Their neighbourhoods stay in the cache of a core: of 1 to 16, the fastest on CPU.
_GROUP_SIZE = 4


def smallest_side(num_blocks: int) -> int:
    """Least height and width of images of which valid padding leaves a feature map."""
    return 3 * 2**num_blocks - 2


class Conv3x3(nn.Module):
    """The parameters of a convolution, as in `nn.Conv` with a 3x3 kernel.

    Attributes:
      channels: of its output.
      dtype: its precision.
      per_frame: a kernel and a bias for each frame, along a first axis of T.
    """

    channels: int
    dtype: jnp.dtype | None = None
    per_frame: bool = False

    @nn.compact
    def __call__(
        self, images: Array, channel_axis: int
    ) -> tuple[Array, Kernel | FrameKernels, Bias | FrameBiases]:
        """The images, the kernel and the bias, all in `dtype`."""
        frames = images.shape[:1] if self.per_frame else ()
        shape = (*frames, 3, 3, images.shape[channel_axis], self.channels)
        normal = nn.initializers.lecun_normal(batch_axis=0 if self.per_frame else ())
        kernel = self.param("kernel", normal, shape)
        bias = self.param("bias", nn.initializers.zeros, (*frames, self.channels))
        images, kernel, bias = nn.dtypes.promote_dtype(images, kernel, bias, dtype=self.dtype)
        return images, kernel, bias


class ConvBlock(nn.Module):
    """Convolution 3x3, ReLU, max-pool 2x2.

    Attributes:
      channels: of the convolution.
      dtype: its precision.
      padding: `same`: images lie in a border of 0; `valid`: in none, and what is left of an odd
        last row or column is not read (as in `tf.layers.conv2d` and `max_pooling2d`).
      per_frame: images are (T, B, ...), and each frame has weights of its own.
    """

    channels: int
    dtype: jnp.dtype | None = None
    padding: str = "same"
    per_frame: bool = False

    @nn.compact
    def __call__(self, images: Images | FrameImages) -> FeatureMaps | FrameMaps:
        """(B, height, width, C) to (B, map height, map width, channels).

        Maps have half of height and width, rounded up; with `valid`, half and rounded down, less 1.
        """
        conv = Conv3x3(self.channels, self.dtype, self.per_frame, name="conv")
        images, kernel, bias = conv(images, -1)
        if self.padding == "valid":
            height, width = (size - size % 2 for size in images.shape[-3:-1])
            images = images[..., :height, :width, :]
        # Inside the loop over training steps, XLA's convolution is dozens of times slower on CPU.
        # A batch of any size, which a program to export has, cannot be split.
        in_groups = jax.default_backend() == "cpu" and isinstance(images.shape[-4], int)
        block = block_in_groups if in_groups else block_at_once
        way = functools.partial(block, padding=self.padding)
        if not self.per_frame:
            return way(images, kernel, bias)
        if in_groups:  # Frame by frame: all at once would not fit in the cache.
            return jax.lax.map(lambda frame: way(*frame), (images, kernel, bias))
        return jax.vmap(way)(images, kernel, bias)  # One convolution, with a group for each frame.


def block_at_once(images: Images, kernel: Kernel, bias: Bias, padding: str = "same") -> FeatureMaps:
    """Images (B, height, width, C) to (B, map height, map width, channels), for accelerators."""
    return pooled(as_convolution(images, kernel, padding), bias)


def block_in_groups(
    images: Images, kernel: Kernel, bias: Bias, padding: str = "same"
) -> FeatureMaps:
    """The same, a few images at a time, for CPUs.

    The arrays between images and result are nine times as large as the images: for a whole batch
    they do not fit in the cache. The gradient computes them again rather than to load them.
    """

    def of_group(group: Images) -> FeatureMaps:
        return pooled(as_product(group, kernel, padding), bias)

    size = math.gcd(len(images), _GROUP_SIZE)
    groups = images.reshape(-1, size, *images.shape[1:])
    # In a loop, no barrier is needed to keep what is computed anew from being stored instead.
    maps = jax.lax.map(jax.checkpoint(of_group, prevent_cse=False), groups)
    return maps.reshape(-1, *maps.shape[2:])


def as_convolution(images: Images, kernel: Kernel, padding: str = "same") -> FeatureMaps:
    """Images (B, height, width, C) convolved with a kernel (3, 3, C, channels)."""
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), padding.upper(), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def as_product(images: Images, kernel: Kernel, padding: str = "same") -> FeatureMaps:
    """The same as one matrix product over each pixel's 3x3 neighbourhood."""
    if padding == "same":
        images = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    num_images, height, width, channels = images.shape
    height, width = height - 2, width - 2
    patches = jnp.concatenate(_neighbours(images, height, width), axis=-1).reshape(-1, 9 * channels)
    products = patches @ kernel.reshape(9 * channels, -1)
    return products.reshape(num_images, height, width, -1)


def _neighbours(padded: Array, height: int, width: int) -> list[Array]:
    """Of (_, height + 2, width + 2, ...), what each of the kernel's 3x3 numbers meets."""
    return [
        padded[:, down : down + height, right : right + width]
        for down in range(3)
        for right in range(3)
    ]


def pooled(products: Images, bias: Bias) -> FeatureMaps:
    """Bias, ReLU, max-pool: in the other order, which gives the same for a quarter of the work."""
    maps = max_pool(products)
    return nn.relu(maps + jnp.broadcast_to(bias, maps.shape))


class CNN(nn.Module):
    """One `ConvBlock` after another.

    Attributes:
      channels: of each block.
      dtype: precision of the convolutions.
      padding, per_frame: see `ConvBlock`.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None
    padding: str = "same"
    per_frame: bool = False

    @nn.compact
    def __call__(self, images: Images | FrameImages) -> FeatureMaps | FrameMaps:
        """(B, height, width, C) to feature maps: each block halves height and width.

        With `per_frame`, (T, B, height, width, C), and each array of the parameters has a first
        axis of T: `block_0/conv/kernel` is (T, 3, 3, C, channels), `block_0/conv/bias` (T,
        channels). The network then reads clips of T frames only.

        Raises:
          ValueError: no such padding, or images of which `valid` leaves nothing.
        """
        if self.padding not in PADDINGS:
            raise ValueError(
                f"padding '{self.padding}' is not known; choose one of {', '.join(PADDINGS)}"
            )
        height, width = images.shape[-3:-1]
        least = smallest_side(len(self.channels))
        if self.padding == "valid" and min(height, width) < least:
            raise ValueError(
                f"valid padding leaves nothing of images of {height}x{width}; {len(self.channels)}"
                f" blocks need {least}x{least} at least"
            )
        maps = images
        for number, channels in enumerate(self.channels):
            name = f"block_{number}"
            maps = ConvBlock(channels, self.dtype, self.padding, self.per_frame, name=name)(maps)
        return maps


@jax.custom_vjp
def max_pool(images: Images) -> FeatureMaps:
    """The largest of each 2x2 pixels; an odd last row or column stands alone.

    Where several are the largest, the gradient is divided among them. It is written out by hand,
    since XLA's own, of a maximum over two axes and of `nn.max_pool`, is slow on CPU.
    """
    windows = windows_of(images)
    return functools.reduce(jnp.maximum, corners(windows))


def _max_pool_forward(images: Images) -> tuple[FeatureMaps, tuple[Images, FeatureMaps]]:
    largest = max_pool(images)
    return largest, (images, largest)


def _max_pool_backward(
    residuals: tuple[Images, FeatureMaps], gradient: FeatureMaps
) -> tuple[Images]:
    images, largest = residuals
    windows = windows_of(images)
    # A sum over two axes is a reduction, many times slower than these three additions.
    number = sum((corner == largest).astype(gradient.dtype) for corner in corners(windows))
    is_largest = windows == _at_corners(largest, windows)
    gradients = jnp.where(is_largest, _at_corners(gradient / number, windows), 0)
    num_images, down, _, across, _, channels = windows.shape
    even = gradients.reshape(num_images, 2 * down, 2 * across, channels)
    return (even[:, : images.shape[1], : images.shape[2]],)


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def windows_of(images: Images) -> Windows:
    """Each 2x2 pixels; an odd last row or column is padded with the lowest number."""
    num_images, height, width, channels = images.shape
    border = (0, 0), (0, height % 2), (0, width % 2), (0, 0)
    even = jnp.pad(images, border, constant_values=jnp.finfo(images.dtype).min)
    return even.reshape(num_images, -(-height // 2), 2, -(-width // 2), 2, channels)


def corners(windows: Windows) -> list[FeatureMaps]:
    """Top left, top right, bottom left, bottom right of every window."""
    return [windows[:, :, down, :, right] for down in range(2) for right in range(2)]


def _at_corners(maps: FeatureMaps, windows: Windows) -> Windows:
    """One number of each window at its four corners."""
    return jnp.broadcast_to(maps[:, :, None, :, None], windows.shape)
