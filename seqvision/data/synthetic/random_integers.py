"""Random whole numbers, of which made data are a function."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int32, UInt32

from seqvision.shapes import PRNGKey

LEVEL = 65536  # Parts of a grey level: the product of two weights in 1/256.


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
