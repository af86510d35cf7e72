"""Drawing of one shell game, in whole numbers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int32

from seqvision.data.synthetic.clip_drawing import NUM_SHADES, blocks_shape, hidden, to_levels
from seqvision.data.synthetic.clip_recipe import ShellGame
from seqvision.data.synthetic.random_integers import PLACE, below, noise, words
from seqvision.data.targets import UNKNOWN
from seqvision.shapes import PRNGKey

_CUP = 160  # Brightness of a cup; that of the ball is 255.


def draw_game(recipe: ShellGame, key: PRNGKey) -> dict[str, Array]:
    """One game, every random number of which comes from its key."""
    pairs = np.array(list(itertools.combinations(range(recipe.cups), 2)), np.int32)
    spans = [recipe.cups, recipe.swaps + 1 - recipe.min_swaps, *3 * [NUM_SHADES]]
    block = max(1, min(_half_sizes(recipe)) // PLACE)
    blocks = blocks_shape(recipe, block) if recipe.occlusion else [0]
    frames_shape = [recipe.num_frames, recipe.height, recipe.width, recipe.channels]
    pixels = frames_shape if recipe.noise else [0]
    chances, swap_words, block_words, pixel_words = words(
        key, [len(spans)], [2, recipe.swaps], blocks, pixels
    )
    draws = below(chances, np.array(spans))
    start, num_swaps = draws[0], recipe.min_swaps + draws[1]
    swapped = jnp.asarray(pairs)[below(swap_words[0], np.array([len(pairs)]))]
    above = below(swap_words[1], np.array([2])) * 2 - 1

    frames = _drawn(recipe, swapped, above, start)[..., None]
    if recipe.channels == 3:
        colour = (257 - NUM_SHADES + draws[2:5]).reshape(1, 1, 1, 3)
        frames = (frames >> 8) * colour
    frames = frames.at[0].max(255 * _ball(recipe, start)[..., None])
    if recipe.occlusion:
        out_of_sight = hidden(block_words, recipe, block)
        # Who has not seen the ball cannot know where it is.
        frames = jnp.where(out_of_sight.at[0].set(False)[..., None], 0, frames)
    if recipe.noise:
        frames += noise(pixel_words, recipe.noise)
    length = 1 + num_swaps * recipe.frames_per_swap
    step_mask = jnp.arange(recipe.num_frames) < length
    inputs = jnp.where(step_mask[:, None, None, None], to_levels(frames), 0)

    places = _places(start, swapped)
    labels = places[num_swaps]
    if recipe.per_frame:
        at_frames = places[np.arange(recipe.num_frames) // recipe.frames_per_swap]
        labels = jnp.where(step_mask, at_frames, UNKNOWN)
    return {"inputs": inputs, "labels": labels, "lengths": length}


def _places(start: Int32[Array, ""], swapped: Int32[Array, "swaps 2"]) -> Int32[Array, " places"]:
    """The place of the ball before the first swap, and after each: one more than swaps."""

    def after(place: Array, pair: Array) -> tuple[Array, Array]:
        left, right = pair[0], pair[1]
        moved = jnp.where(place == left, right, jnp.where(place == right, left, place))
        return moved, moved

    _, later = jax.lax.scan(after, start, swapped)
    return jnp.concatenate([start[None], later])


def _half_sizes(recipe: ShellGame) -> tuple[int, int]:
    """Half of a cup's height and width, in parts of a pixel."""
    return PLACE * recipe.height // 8, PLACE * recipe.width // (4 * recipe.cups)


def _columns(recipe: ShellGame) -> np.ndarray:
    """Centre of each place, in parts of a pixel: (cups,) int32."""
    odd = 2 * np.arange(recipe.cups, dtype=np.int32) + 1
    return (PLACE * recipe.width * odd // (2 * recipe.cups)).astype(np.int32)


def _drawn(
    recipe: ShellGame,
    swapped: Int32[Array, "swaps 2"],
    above: Int32[Array, " swaps"],
    start: Int32[Array, ""],
) -> Int32[Array, "T height width"]:
    """The cups; of each pair, the left one passes above where `above` is 1, below where -1.

    Returns:
      Brightness in parts of grey levels.
    """
    frames, middle = np.arange(recipe.num_frames), PLACE * recipe.height // 2
    swap = np.maximum(frames - 1, 0) // recipe.frames_per_swap
    part = np.where(frames == 0, 0, (frames - 1) % recipe.frames_per_swap + 1)
    turn = np.pi * part / recipe.frames_per_swap
    arc = np.round(PLACE * recipe.height / 4 * np.sin(turn)).astype(np.int32)
    columns = jnp.asarray(_columns(recipe))
    pair, side = swapped[swap], above[swap][:, None] * jnp.asarray(arc)[:, None]
    cups = jnp.arange(recipe.cups, dtype=jnp.int32)[None]
    is_left, is_right = cups == pair[:, :1], cups == pair[:, 1:]
    way = (columns[pair[:, 1]] - columns[pair[:, 0]]) * part.astype(np.int32)
    gone = (way // recipe.frames_per_swap)[:, None]
    column = columns[None] + jnp.where(is_left, gone, jnp.where(is_right, -gone, 0))
    row = middle + jnp.where(is_left, -side, jnp.where(is_right, side, 0))
    # The ball is shown under its cup, which is lifted.
    lifted = (frames == 0)[:, None] & (cups == start)
    row = row - jnp.where(lifted, PLACE * recipe.height // 4, 0)

    half_height, half_width = _half_sizes(recipe)
    down = _covered(row, half_height, recipe.height)
    across = _covered(column, half_width, recipe.width)
    return _CUP * (down[..., :, None] * across[..., None, :]).max(axis=1)


def _ball(recipe: ShellGame, start: Int32[Array, ""]) -> Int32[Array, "height width"]:
    """How much of each pixel of the first frame the ball covers, in parts of a whole one."""
    half = min(_half_sizes(recipe))
    row = jnp.full((), PLACE * recipe.height // 2, jnp.int32)
    down = _covered(row, half, recipe.height)
    across = _covered(jnp.asarray(_columns(recipe))[start], half, recipe.width)
    return down[:, None] * across[None, :]


def _covered(centre: Int32[Array, "*B"], half: int, num_pixels: int) -> Int32[Array, "*B pixels"]:
    """How much of each pixel of a row or column lies within `half` of a centre, in parts."""
    middles = PLACE * np.arange(num_pixels, dtype=np.int32) + PLACE // 2
    middles = middles.reshape(*centre.ndim * [1], num_pixels)
    return jnp.clip(half + PLACE // 2 - jnp.abs(middles - centre[..., None]), 0, PLACE)
