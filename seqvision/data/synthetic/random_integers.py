"""Whole numbers of which made data are a function: random ones, and brightness between pixels."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int32, UInt8, UInt32

from seqvision.shapes import PRNGKey

# A compiler may round a sum of floats otherwise in a larger batch or on another device, and one
# grey level would then depend on it. Whole numbers leave no choice, so places, angles and
# brightness are counted in small parts of their units.
PLACE = 256  # Parts of a pixel.
LEVEL = PLACE**2  # Parts of a grey level: the product of two weights in 1/256.


def words(key: PRNGKey, *shapes: list[int]) -> list[UInt32[Array, "..."]]:
    """Random bits in these shapes, all from one call: each takes a second to compile."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    bits = jax.random.bits(key, (int(ends[-1]),), jnp.uint32)
    parts = jnp.split(bits, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def below(words: UInt32[Array, "..."], spans: np.ndarray) -> Int32[Array, "..."]:
    """Uniform numbers from 0 to span - 1; the spans are as many as the words, or one."""
    # Spans are so small a part of 2^32 that remainders are as good as uniform.
    return (words % spans.astype(np.uint32)).astype(jnp.int32)


def noise(words: UInt32[Array, "..."], deviation: float) -> Int32[Array, "..."]:
    """Near-normal noise: the sum of four random bytes, brought to this standard deviation.

    Args:
      words: one for each pixel.
      deviation: as a fraction of 255.

    Returns:
      Parts of grey levels.
    """
    total = sum((words >> shift & 255).astype(jnp.int32) for shift in (0, 8, 16, 24))
    deviation_of_total = (4 * (256**2 - 1) / 12) ** 0.5
    return (total - 4 * 255 // 2) * round(deviation * 255 * LEVEL / deviation_of_total)


def four_pixels(images: UInt8[Array, "*N height width"]) -> UInt32[Array, "*N height-1 width-1"]:
    """Each pixel, packed with those right of it and below: looking up is what takes time."""
    pixels = images.astype(jnp.uint32)
    upper, lower = pixels[..., :-1, :], pixels[..., 1:, :]
    upper, lower = (row[..., :-1] | row[..., 1:] << 8 for row in (upper, lower))
    return upper | lower << 16


def interpolated(
    four: UInt32[Array, "rows columns"], row: Int32[Array, "..."], column: Int32[Array, "..."]
) -> Int32[Array, "..."]:
    """Bilinear interpolation.

    Args:
      four: of an image, see `four_pixels`.
      row, column: places in parts of a pixel, within the image.

    Returns:
      Brightness, 0 to 255 in parts of grey levels.
    """
    found = four.ravel()[(row >> 8) * four.shape[1] + (column >> 8)]
    upper_left, upper_right, lower_left, lower_right = (
        (found >> shift & 255).astype(jnp.int32) for shift in (0, 8, 16, 24)
    )
    lower_part, right_part = row & 255, column & 255
    upper_part, left_part = PLACE - lower_part, PLACE - right_part
    return upper_part * (left_part * upper_left + right_part * upper_right) + lower_part * (
        left_part * lower_left + right_part * lower_right
    )
