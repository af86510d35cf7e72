"""Small random movements of training images, on the device."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Float

from seqvision.shapes import ExampleKeys, Inputs, PRNGKey


def shift_and_rotate(
    keys: ExampleKeys, inputs: Inputs, max_shift: float, max_rotation: float
) -> Inputs:
    """Moves each image by its own random shift and rotation about its centre; a clip as a whole.

    Args:
      keys: (B,), what each movement is a function of.
      inputs: (B, height, width, channels) or (B, T, height, width, channels), float.
      max_shift: pixels; each direction is drawn from [-max_shift, max_shift].
      max_rotation: degrees; drawn from [-max_rotation, max_rotation].

    Returns:
      Inputs of the same shape, bilinearly interpolated; what moves in from outside is 0.
    """
    if inputs.ndim == 5:
        num_clips, num_frames, height, width, channels = inputs.shape
        # One movement for all frames: frames become channels.
        layers = jnp.moveaxis(inputs, 1, 3).reshape(num_clips, height, width, -1)
        moved = shift_and_rotate(keys, layers, max_shift, max_rotation)
        frames = moved.reshape(num_clips, height, width, num_frames, channels)
        return jnp.moveaxis(frames, 3, 1)
    images = inputs
    _, height, width, _ = images.shape
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    rows, columns = jnp.meshgrid(
        jnp.arange(height, dtype=jnp.float32) - middle_row,
        jnp.arange(width, dtype=jnp.float32) - middle_column,
        indexing="ij",
    )

    def draw(key: PRNGKey) -> tuple[Float[Array, "2"], Float[Array, ""]]:
        shift_key, angle_key = jax.random.split(key)
        shift = jax.random.uniform(shift_key, (2,), minval=-max_shift, maxval=max_shift)
        return shift, jax.random.uniform(angle_key, minval=-max_rotation, maxval=max_rotation)

    def move(
        image: Float[Array, "height width channels"],
        shift: Float[Array, "2"],
        angle: Float[Array, ""],
    ) -> Float[Array, "height width channels"]:
        sine, cosine = jnp.sin(jnp.deg2rad(angle)), jnp.cos(jnp.deg2rad(angle))
        source_rows = cosine * rows - sine * columns + middle_row + shift[0]
        source_columns = sine * rows + cosine * columns + middle_column + shift[1]
        sample = jax.vmap(
            lambda channel: map_coordinates(channel, [source_rows, source_columns], order=1),
            in_axes=-1,
            out_axes=-1,
        )
        return sample(image)

    return jax.vmap(move)(images, *jax.vmap(draw)(keys))
