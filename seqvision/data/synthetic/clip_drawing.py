"""Drawing of one clip of a moving digit, in whole numbers."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int32, UInt8, UInt32

from seqvision.data.synthetic.clip_recipe import MovingDigits, ShellGame
from seqvision.data.synthetic.random_integers import (
    LEVEL,
    PLACE,
    below,
    four_pixels,
    interpolated,
    noise,
    words,
)
from seqvision.data.targets import UNKNOWN
from seqvision.shapes import PRNGKey

Digits = UInt8[Array, "N size size"]
DigitLabels = Int32[Array, "N"]

_ANGLE = 4096  # parts of a turn
_WAVE = 4096  # parts of 1, of sines and cosines

_WAVES = np.round(
    _WAVE * np.exp(2j * np.pi * np.arange(_ANGLE) / _ANGLE).view(np.float64).reshape(-1, 2)
).astype(np.int32)  # Cosine and sine of every angle.

# Row, column and angle of each of MOTIONS; rows count downwards, angles clockwise.
_DIRECTIONS = np.array([[0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, -1]])
_NUM_HEADINGS = 256
_NUM_DIRECTIONS = 4
_FRAMES_A_DIRECTION = 4  # One in so many frames begins another direction, on average.
NUM_SHADES = 193  # Of a colour's red, green and blue: the brightest ones, lest digits vanish.


def draw_clip(
    recipe: MovingDigits, digits: Digits, labels: DigitLabels, key: PRNGKey
) -> dict[str, Array]:
    """One clip, every random number of which comes from its key."""
    courses = _courses(recipe)
    around = [PLACE * recipe.height, PLACE * recipe.width, _ANGLE]
    lengths = recipe.num_frames + 1 - recipe.min_frames
    spans = [len(labels), lengths, len(courses), *around, *3 * [NUM_SHADES]]
    block = max(1, round(recipe.digit_size / 4))  # A quarter of a digit.
    blocks = blocks_shape(recipe, block) if recipe.occlusion else [0]
    frames_shape = [recipe.num_frames, recipe.height, recipe.width, recipe.channels]
    pixels = frames_shape if recipe.noise else [0]
    changes = [2, recipe.num_frames] if recipe.task in ("directions", "parity") else [0]
    chances, block_words, pixel_words, change_words = words(
        key, [len(spans)], blocks, pixels, changes
    )
    draws = below(chances, np.array(spans))
    number, length, course = draws[0], recipe.min_frames + draws[1], draws[2]

    # All that one frame shows is uniform on a circle, a shift of which is uniform again: whatever
    # the course, row, column and angle have the same distribution in every frame.
    start = draws[3:6]
    if recipe.task in ("digit", "parity"):
        start = start.at[2].set(0)  # Upright: 6 is not 9.
    moved, label = jnp.asarray(courses)[course], course
    if recipe.task == "directions":
        moved, label = _changing(recipe, change_words, length)
    elif recipe.task == "digit":
        label = labels[number]
    poses = (start[None] + moved) % np.array([around], np.int32)

    frames = _drawn(digits[number], poses, recipe.height, recipe.width)[..., None]
    if recipe.task == "parity":
        dark, label = _blinks(recipe, change_words[0], length)
        frames = jnp.where(dark[:, None, None, None], 0, frames)
    if recipe.channels == 3:
        colour = (257 - NUM_SHADES + draws[6:9]).reshape(1, 1, 1, 3)
        frames = (frames >> 8) * colour
    if recipe.occlusion:
        frames = jnp.where(hidden(block_words, recipe, block)[..., None], 0, frames)
    if recipe.noise:
        frames += noise(pixel_words, recipe.noise)
    step_mask = jnp.arange(recipe.num_frames) < length
    inputs = jnp.where(step_mask[:, None, None, None], to_levels(frames), 0)
    return {"inputs": inputs, "labels": label, "lengths": length}


def _changing(
    recipe: MovingDigits, words: UInt32[Array, "2 T"], length: Int32[Array, ""]
) -> tuple[Int32[Array, "T 3"], Int32[Array, " T"]]:
    """Row, column and angle since frame 0, and the direction that led to each frame.

    Each direction lasts until chance ends it; another one of the four follows. The first frame and
    those after the last have the label UNKNOWN.
    """
    changes = below(words[0], np.full(recipe.num_frames, _FRAMES_A_DIRECTION)) == 0
    others = 1 + below(words[1], np.full(recipe.num_frames, _NUM_DIRECTIONS - 1))
    # What the first frame draws is the first direction: any of the four.
    first = below(words[1], np.full(recipe.num_frames, _NUM_DIRECTIONS))
    frames = jnp.arange(recipe.num_frames, dtype=jnp.int32)
    turns = jnp.where(frames == 0, first, jnp.where(changes, others, 0))
    directions = jnp.cumsum(turns) % _NUM_DIRECTIONS
    steps = np.round(PLACE * recipe.speed * _DIRECTIONS[:_NUM_DIRECTIONS]).astype(np.int32)
    moved = jnp.where(frames[:, None] == 0, 0, jnp.asarray(steps)[directions])
    known = (frames > 0) & (frames < length)
    return jnp.cumsum(moved, axis=0), jnp.where(known, directions, UNKNOWN)


def _courses(recipe: MovingDigits) -> np.ndarray:
    """Row, column and angle since frame 0, by course and frame: (courses, T, 3) int32.

    The courses are the motions, in their order, or headings all around.
    """
    if recipe.task == "motion":
        directions = _DIRECTIONS[: len(recipe.motions)].astype(np.float64)
    else:
        heading = 2 * np.pi * np.arange(_NUM_HEADINGS) / _NUM_HEADINGS
        directions = np.stack([np.sin(heading), np.cos(heading), 0 * heading], axis=-1)
    pace = np.array([PLACE * recipe.speed, PLACE * recipe.speed, _ANGLE * recipe.turn / 360])
    around = np.array([PLACE * recipe.height, PLACE * recipe.width, _ANGLE])
    moved = np.arange(recipe.num_frames)[:, None] * (directions * pace)[:, None]
    return (np.round(moved).astype(np.int64) % around).astype(np.int32)


def _drawn(
    digit: UInt8[Array, "size size"], poses: Int32[Array, "T 3"], height: int, width: int
) -> Int32[Array, "T {height} {width}"]:
    """Frames of a digit whose centre is at row and column, turned clockwise by the angle.

    Returns:
      Bilinearly interpolated brightness, 0 to 255 in parts; 0 outside the digit.
    """
    size = len(digit)
    row, column, angle = (poses[:, axis, None, None] for axis in range(3))
    down = _nearest(PLACE * jnp.arange(height)[None, :, None] - row, PLACE * height)
    right = _nearest(PLACE * jnp.arange(width)[None, None, :] - column, PLACE * width)
    waves = jnp.asarray(_WAVES)[angle]
    cosine, sine = waves[..., 0], waves[..., 1]

    def place(turned: Int32[Array, "T height width"]) -> Int32[Array, "T height width"]:
        """From offsets in parts of parts to a place in the digit, 1 pixel of margin included."""
        middle = PLACE * (size + 1) // 2
        return jnp.clip((turned + _WAVE // 2) // _WAVE + middle, 0, PLACE * (size + 1))

    source_row = place(cosine * down - sine * right)
    source_column = place(sine * down + cosine * right)
    padded = jnp.pad(digit, ((1, 2), (1, 2)))
    return interpolated(four_pixels(padded), source_row, source_column)


def _nearest(offset: Int32[Array, "..."], around: int) -> Int32[Array, "..."]:
    """The shorter way round, in [-around / 2, around / 2)."""
    return (offset + around // 2) % around - around // 2


def _blinks(
    recipe: MovingDigits, words: UInt32[Array, " T"], length: Int32[Array, ""]
) -> tuple[Bool[Array, " T"], Int32[Array, "..."]]:
    """The frames without the digit, and whether their number is odd: 1, or even: 0.

    The digit is away in one frame at a time: in each of the frames 1, 3, 5, ... but the last of the
    clip with probability 1/2.

    Returns:
      The label of the clip, or where `per_frame`, that of what was seen up to each frame; UNKNOWN
      after the last.
    """
    frames = jnp.arange(recipe.num_frames, dtype=jnp.int32)
    may_be_dark = (frames % 2 == 1) & (frames + 1 < length)
    dark = (below(words, np.full(recipe.num_frames, 2)) == 1) & may_be_dark
    odd = jnp.cumsum(dark.astype(jnp.int32)) % 2
    if not recipe.per_frame:
        return dark, odd[-1]
    return dark, jnp.where(frames < length, odd, UNKNOWN)


def blocks_shape(recipe: MovingDigits | ShellGame, block: int) -> list[int]:
    """Of the blocks of pixels that are hidden together, each `block` high and wide."""
    return [recipe.num_frames, -(-recipe.height // block), -(-recipe.width // block)]


def hidden(
    words: UInt32[Array, "T block_rows block_columns"], recipe: MovingDigits | ShellGame, block: int
) -> Bool[Array, "T height width"]:
    """The pixels of blocks, each of which is hidden with the same probability."""
    blocks = (words >> 16).astype(jnp.int32) < round(recipe.occlusion * 2**16)
    pixels = blocks.repeat(block, axis=1).repeat(block, axis=2)
    return pixels[:, : recipe.height, : recipe.width]


def to_levels(frames: Int32[Array, "..."]) -> UInt8[Array, "..."]:
    """From parts of grey levels to grey levels, rounded."""
    return jnp.clip((frames + LEVEL // 2) >> 16, 0, 255).astype(jnp.uint8)
