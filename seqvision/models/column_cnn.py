"""The convolutional network of a line reader: a column of its maps depends on no later one.

On CPUs it goes from image to image, so that what lies between two maps stays in the cache, and its
gradient is written out by hand. A 3x3 convolution is one product, of the kernel with the three rows
that each row of the output needs, and a sum of three of its results, each a column further right:
to copy all nine neighbours of each pixel is slower. Even and odd rows of the output lie apart, so
that the maximum of two rows is that of two contiguous arrays.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero
from jaxtyping import Float

from seqvision.models.cnn import Bias, Conv3x3, Kernel
from seqvision.shapes import Images, Sequence

ColumnMaps = Float[Array, "B _ _ _"]  # channels, height, width
ColumnMap = Float[Array, "_ _ _"]
RowMaps = Float[Array, "_ 2 _ _"]  # channels; even and odd rows; half the height; width
Gradients = tuple[Array, Array, ColumnMap | None]  # kernel (3 * channels, 3 * C), bias, image

COLUMNS_BEFORE = 2
"""A column of a block's maps depends on so many columns before its own."""


class ColumnBlock(nn.Module):
    """Convolution 3x3, ReLU, and the maximum of each two rows; for lines read column by column.

    A column of its maps is a function of the same column below and of the two before it. Channels
    come first, so that a row of a map is contiguous: on CPUs that is twice as fast.

    Attributes:
      channels: of the convolution.
      dtype: its precision.
    """

    channels: int
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, maps: ColumnMaps) -> ColumnMaps:
        """(B, C, height, 2 + width) to (B, channels, height / 2, width), rounded up."""
        maps, kernel, bias = Conv3x3(self.channels, self.dtype, name="conv")(maps, 1)
        if jax.default_backend() == "cpu":
            return block_by_image(maps, kernel, bias)
        return jax.vmap(lambda image: _block(image, kernel, bias)[0])(maps)


class ColumnCNN(nn.Module):
    """One `ColumnBlock` after another.

    Attributes:
      channels: of each block.
      dtype: precision of the convolutions.
    """

    channels: tuple[int, ...]
    dtype: jnp.dtype | None = None

    @staticmethod
    def context_of(channels: tuple[int, ...]) -> int:
        """How many columns of the images a column of the last maps depends on besides its own."""
        return COLUMNS_BEFORE * len(channels)

    @nn.compact
    def __call__(self, images: Images) -> Sequence:
        """(B, height, context + width, C) to (B, width, features): each block halves the height."""
        maps = images.transpose(0, 3, 1, 2)
        for number, channels in enumerate(self.channels):
            maps = ColumnBlock(channels, self.dtype, name=f"block_{number}")(maps)
        return maps.reshape(maps.shape[0], -1, maps.shape[3]).swapaxes(1, 2)


@jax.custom_vjp
def block_by_image(maps: ColumnMaps, kernel: Kernel, bias: Bias) -> ColumnMaps:
    """`ColumnBlock`, one image after another."""
    return lax.map(lambda image: _block(image, kernel, bias)[0], maps)


def _forward(
    maps: CustomVJPPrimal, kernel: CustomVJPPrimal, bias: CustomVJPPrimal
) -> tuple[ColumnMaps, Any]:
    found, excess = lax.map(lambda image: _block(image, kernel.value, bias.value), maps.value)
    # A backward rule takes no Python values: an empty tuple stands for True.
    return found, (maps.value, kernel.value, found, excess, () if maps.perturbed else None)


def _backward(residuals: Any, gradient: Any) -> Any:
    maps, kernel, found, excess, maps_want_gradient = residuals
    if isinstance(gradient, SymbolicZero):
        gradient = jnp.zeros_like(found)
    of_image = functools.partial(
        _block_gradients, kernel, want_image=maps_want_gradient is not None
    )

    def add(total: tuple[Array, Array], image: tuple[Array, ...]) -> tuple[Any, Any]:
        d_weights, d_bias, d_image = of_image(*image)
        return (total[0] + d_weights, total[1] + d_bias), d_image

    channels, num_maps = kernel.shape[2:]
    zeros = jnp.zeros((3 * num_maps, 3 * channels), jnp.float32), jnp.zeros(num_maps, jnp.float32)
    (d_weights, d_bias), d_maps = lax.scan(add, zeros, (maps, found, excess, gradient))
    d_kernel = d_weights.reshape(3, num_maps, 3, channels).transpose(2, 0, 3, 1)
    d_maps = jnp.zeros_like(maps) if d_maps is None else d_maps
    return d_maps, d_kernel.astype(kernel.dtype), d_bias.astype(kernel.dtype)


block_by_image.defvjp(_forward, _backward, symbolic_zeros=True)


def _block(image: ColumnMap, kernel: Kernel, bias: Bias) -> tuple[ColumnMap, ColumnMap]:
    """`ColumnBlock` of one image, and by how much the upper of each two rows exceeds the lower."""
    num_maps, width = kernel.shape[3], image.shape[2] - 2
    rows = _kernel_rows(image)
    # In bfloat16 three sums of a third each would be rounded where one of all is.
    products = jnp.matmul(
        _weights(kernel),
        rows.reshape(-1, rows[0, 0].size),
        preferred_element_type=np.promote_types(image.dtype, np.float32),
    )
    products = products.reshape(3, num_maps, *rows.shape[2:])
    upper, lower = (
        functools.reduce(
            jnp.add, [products[right, :, row, :, right : right + width] for right in range(3)]
        ).astype(image.dtype)
        for row in range(2)
    )
    maps = jnp.maximum(upper, lower)
    return nn.relu(maps + jnp.broadcast_to(bias[:, None, None], maps.shape)), upper - lower


def _block_gradients(
    kernel: Kernel,
    image: ColumnMap,
    found: ColumnMap,
    excess: ColumnMap,
    gradient: ColumnMap,
    *,
    want_image: bool,
) -> Gradients:
    """Those of the weights, see `_weights`, of the bias, and of the image if it is wanted."""
    gradient = jnp.where(found > 0, gradient, 0)
    # Two rows that are equal share it.
    share = jnp.where(excess > 0, 1, jnp.where(excess == 0, 0.5, 0)).astype(gradient.dtype)
    d_rows = jnp.stack([gradient * share, gradient * (1 - share)], axis=1)
    d_bias = gradient.astype(jnp.float32).sum(axis=(1, 2))
    rows = _kernel_rows(image)
    if not want_image:  # The rows are fewer than the maps, and cheaper to shift.
        width = found.shape[2]
        windows = jnp.stack([rows[..., right : right + width] for right in range(3)])
        d_weights = _outer(d_rows.reshape(len(found), -1), windows.reshape(9 * len(image), -1))
        d_weights = d_weights.reshape(len(found), 3, -1).swapaxes(0, 1)
        return d_weights.reshape(3 * len(found), -1), d_bias, None
    columns = [jnp.pad(d_rows, (*3 * [(0, 0)], (right, 2 - right))) for right in range(3)]
    d_products = jnp.concatenate(columns).reshape(3 * len(found), -1)
    d_weights = _outer(d_products, rows.reshape(-1, d_products.shape[1]))
    d_kernel_rows = (_weights(kernel).T @ d_products).reshape(rows.shape)
    return d_weights, d_bias, _joined_rows(d_kernel_rows)[:, 1 : 1 + image.shape[1]]


def _outer(gradient: Float[Array, "G N"], features: Float[Array, "F N"]) -> Float[Array, "G F"]:
    return jnp.matmul(gradient, features.T, preferred_element_type=jnp.float32)


def _weights(kernel: Kernel) -> Float[Array, "_ _"]:
    """(3 * channels, 3 * C): from the rows that a kernel meets to what it adds, for each column."""
    _, _, channels, num_maps = kernel.shape
    return kernel.transpose(1, 3, 0, 2).reshape(3 * num_maps, 3 * channels)


def _kernel_rows(image: ColumnMap) -> Float[Array, "3 _ 2 _ _"]:
    """What each row of the kernel meets of (C, height, width), which lies in a border of 0.

    By rows of the kernel, channels, even and odd rows of the output, pairs of rows and columns.
    """
    channels, height, width = image.shape
    pairs = (height + 1) // 2
    padded = jnp.pad(image, ((0, 0), (1, 1 + height % 2), (0, 0)))
    planes = padded.reshape(channels, pairs + 1, 2, width)
    return jnp.stack(
        [
            jnp.stack([planes[:, at // 2 : at // 2 + pairs, at % 2] for at in (down, down + 1)], 1)
            for down in range(3)
        ]
    )


def _joined_rows(rows: Float[Array, "3 _ 2 _ _"]) -> ColumnMap:
    """The transpose of `_kernel_rows`, with the border."""
    _, channels, _, pairs, width = rows.shape
    planes: list[Any] = [0, 0]
    for down in range(3):
        for row in range(2):
            at = down + row
            border = (0, 0), (at // 2, 1 - at // 2), (0, 0)
            planes[at % 2] += jnp.pad(rows[down, :, row], border)
    return jnp.stack(planes, axis=2).reshape(channels, 2 * (pairs + 1), width)
