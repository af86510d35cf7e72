"""Preprocessing on the devices: bytes to floats, random movements, windows of long clips."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Bool, Float, Int32, Shaped, UInt8

from seqvision.shapes import ExampleKeys, Inputs, Lengths, PRNGKey

AnyClips = Shaped[Array, "B T height width channels"]


def to_unit_range(
    inputs: UInt8[Array, "*shape"] | Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """Bytes 0 to 255 as floats 0 to 1: the only normalisation. Features stay as they are."""
    if inputs.dtype != jnp.uint8:
        return inputs
    return inputs.astype(jnp.float32) / 255.0


def shift_and_rotate(
    keys: ExampleKeys, inputs: Inputs, max_shift: float, max_rotation: float
) -> Inputs:
    """Moves each image by its own random shift and rotation about its centre; a clip as a whole.

    Args:
      keys: (B,), of which each movement is a function.
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


class Windows(NamedTuple):
    """Clips longer than `size` frames are cut; `stride` frames lie between two windows' starts."""

    size: int
    stride: int


def random_windows(
    keys: ExampleKeys, inputs: AnyClips, lengths: Lengths, size: int
) -> tuple[Shaped[Array, "B frames height width channels"], Lengths]:
    """Cuts one window out of each clip, its place drawn uniformly from its key.

    Args:
      keys: (B,), of which each window's place is a function.
      inputs: (B, T, height, width, channels), of any type; 0 after the end of a clip.
      lengths: (B,) frames of each clip.
      size: frames of a window.

    Returns:
      Windows (B, min(size, T), height, width, channels) and their lengths (B,). A clip shorter
      than a window is all there, 0 after its end.
    """

    def draw(key: PRNGKey, length: Int32[Array, ""]) -> Int32[Array, ""]:
        return jax.random.randint(key, (), 0, jnp.maximum(length - size, 0) + 1)

    starts = jax.vmap(draw)(keys, lengths)
    num_frames = min(size, inputs.shape[1])

    def cut(
        clip: Shaped[Array, "T height width channels"], start: Int32[Array, ""]
    ) -> Shaped[Array, "frames height width channels"]:
        return jax.lax.dynamic_slice_in_dim(clip, start, num_frames)

    return jax.vmap(cut)(inputs, starts), jnp.minimum(lengths, size)


def window_starts(num_frames: int, size: int, stride: int) -> tuple[int, ...]:
    """First frames of the windows of a clip of `num_frames` frames, in steps of `stride`.

    Where the last step does not reach the clip's end, one more window ends with it. A clip not
    longer than `size` is one window.
    """
    last = max(num_frames - size, 0)
    return (*range(0, last, stride), last)


def frame_ranges(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    """(first, last + 1) frames of the windows of one clip, as `sliding_windows` cuts them."""
    return [(start, min(start + size, length)) for start in window_starts(length, size, stride)]


def sliding_windows(
    inputs: AnyClips, lengths: Lengths, size: int, stride: int
) -> tuple[
    Shaped[Array, "B W {size} height width channels"],
    Int32[Array, "B W"],
    Bool[Array, "B W"],
    Int32[Array, "B W"],
]:
    """Cuts each clip into the windows of `frame_ranges`.

    Args:
      inputs: (B, T, height, width, channels), of any type.
      lengths: (B,) frames of each clip.
      size: frames of a window.
      stride: frames from one window to the next.

    Returns:
      Windows (B, W, size, height, width, channels), their lengths, which of them there are, and
      their first frames, each (B, W). W is what a clip of T frames needs; windows that a shorter
      one does not need are 0 in everything.
    """
    num_frames = inputs.shape[1]
    grid = stride * jnp.arange(len(window_starts(num_frames, size, stride)))[None]
    last = jnp.maximum(lengths - size, 0)[:, None]
    mask = grid < last + stride  # The first one that reaches the end is the last one.
    starts = jnp.where(mask, jnp.minimum(grid, last), 0)
    window_lengths = jnp.where(mask, jnp.minimum(lengths, size)[:, None], 0)

    steps = jnp.arange(size)[None, None]
    frames = jnp.minimum(starts[..., None] + steps, num_frames - 1)
    windows = jax.vmap(lambda clip, chosen: clip[chosen])(inputs, frames)
    step_mask = steps < window_lengths[..., None]
    return jnp.where(step_mask[..., None, None, None], windows, 0), window_lengths, mask, starts
