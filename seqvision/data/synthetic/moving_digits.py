"""Clips of one moving digit, made on the devices from still images."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int32, UInt8, UInt32
from PIL import Image

from seqvision.data.dataset import ArraySplit, Dataset, ResidentSplit
from seqvision.data.synthetic.random_integers import LEVEL, below, noise, words
from seqvision.errors import UserError, did_you_mean
from seqvision.shapes import Count, HostImages, HostLabels, PRNGKey

Digits = UInt8[Array, "N size size"]
DigitLabels = Int32[Array, "N"]

TASKS = ("motion", "digit")
MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise")
_NUM_DIRECTIONS = 4

# A compiler may round a sum of floats otherwise in a larger batch or on another device, and one
# grey level would then depend on it. Whole numbers leave no choice, so places, angles and
# brightness are counted in small parts of their units.
_PLACE = 256  # parts of a pixel
_ANGLE = 4096  # parts of a turn
_WAVE = 4096  # parts of 1, of sines and cosines

_WAVES = np.round(
    _WAVE * np.exp(2j * np.pi * np.arange(_ANGLE) / _ANGLE).view(np.float64).reshape(-1, 2)
).astype(np.int32)  # Cosine and sine of every angle.

# Row, column and angle of each of MOTIONS; rows count downwards, angles clockwise.
_DIRECTIONS = np.array([[0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, -1]])
_NUM_HEADINGS = 256
_NUM_SHADES = 193  # Of a colour's red, green and blue: the brightest ones, lest digits vanish.


@dataclasses.dataclass(frozen=True)
class MovingDigits:
    """How clips look.

    Attributes:
      task: what is to be told: `motion`, one of MOTIONS (only the first four where `turn` is 0), or
        `digit`.
      num_frames: T, the frames of the longest clips.
      min_frames: those of the shortest; lengths are uniform between them.
      height, width: pixels of the picture, whose opposite edges are one and the same.
      channels: 1, grey; or 3, every digit in a colour of its own.
      digit_size: pixels that the height and width of a digit's image are scaled to.
      speed: pixels per frame.
      turn: degrees per frame.
      noise: standard deviation of each pixel's noise in each frame, as a fraction of 255.
      occlusion: fraction of the picture that is hidden, anew in each frame.

    Raises:
      UserError: fields that make no clips.
    """

    task: str
    num_frames: int
    min_frames: int
    height: int
    width: int
    channels: int
    digit_size: int
    speed: float
    turn: float
    noise: float
    occlusion: float

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(
                f"config.clips.task: '{self.task}' is none of {', '.join(TASKS)}; choose one of"
                f" these{did_you_mean(self.task, TASKS)}"
            )
        if self.min_frames > self.num_frames:
            raise UserError(
                f"config.clips.min_frames: {self.min_frames} is more than config.clips.num_frames"
                f" ({self.num_frames}); lower it to at most {self.num_frames}, or raise num_frames"
            )
        if self.channels not in (1, 3):
            raise UserError(
                f"config.clips.channels: {self.channels} is neither 1 (grey) nor 3 (colour); choose"
                " one of these"
            )
        side = min(self.height, self.width)
        if self.digit_size > side:
            raise UserError(
                f"config.clips.digit_size: {self.digit_size} is larger than the picture"
                f" ({self.height}x{self.width}); lower it to at most {side}, or raise"
                " config.clips.height and config.clips.width"
            )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ClipArrays:
    """What clips are a function of, besides their numbers: a tree of three arrays.

    Attributes:
      digits: (N, size, size) uint8.
      labels: (N,) int32.
      key: (2,) uint32, the data of a random key.
      recipe: how the clips look. To jax it is part of the tree's structure, so that a program is
        compiled for one recipe, and takes any split of it.
    """

    digits: Any
    labels: Any
    key: Any
    recipe: MovingDigits = dataclasses.field(metadata={"static": True})


class MovingDigitsSplit(ResidentSplit):
    """The clips of one split: clip i is a pure function of (recipe, digits, seed, split, i).

    Attributes:
      arrays: the split's digits, scaled, and its key.
    """

    def __init__(
        self,
        recipe: MovingDigits,
        images: HostImages,
        labels: HostLabels,
        seed: int,
        split: str,
        num_clips: int,
    ) -> None:
        """Scales the digits.

        Args:
          recipe: how the clips look.
          images: grey digits, (N, height, width, 1); the clips show no others.
          labels: which digits they are, (N,).
          seed, split: what the random numbers are drawn from.
          num_clips: how many clips there are.
        """
        self._seed, self._split, self._num_clips = seed, split, num_clips
        random = hashlib.sha256(repr((seed, split)).encode()).digest()
        self.arrays = ClipArrays(
            digits=_scaled(images, recipe.digit_size),
            labels=labels,
            key=np.frombuffer(random, "<u4", count=2).astype(np.uint32),
            recipe=recipe,
        )

    def __len__(self) -> int:
        return self._num_clips

    def fingerprint(self) -> str:
        """SHA-256 of the recipe, the seed, the split, the count and the digits."""
        digits, labels, recipe = self.arrays.digits, self.arrays.labels, self.arrays.recipe
        made_of = (recipe, self._seed, self._split, self._num_clips, digits.shape)
        digest = hashlib.sha256(repr(made_of).encode())
        for array in (digits, labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @staticmethod
    def take(arrays: ClipArrays, indices: Any) -> dict[str, Any]:
        """The clips with these numbers (B,): the same bits in any batch and on any device.

        Returns:
          `inputs` (B, T, height, width, channels) uint8, `labels` (B,) int32 and `lengths` (B,)
          int32; frames after them are 0.
        """
        split_key = jax.random.wrap_key_data(jnp.asarray(arrays.key), impl="threefry2x32")
        digits, labels = jnp.asarray(arrays.digits), jnp.asarray(arrays.labels)

        def clip(index: Count) -> dict[str, Array]:
            return _clip(arrays.recipe, digits, labels, jax.random.fold_in(split_key, index))

        return jax.vmap(clip)(jnp.asarray(indices))


def moving_digits(
    recipe: MovingDigits, source: Dataset, seed: int, num_clips: Mapping[str, int]
) -> Dataset:
    """Makes clips of a set of digits.

    Args:
      recipe: how the clips look.
      source: grey images; each of its splits lends its own digits to the clips of that name.
      seed: what the random numbers are drawn from.
      num_clips: by split. Splits with none, here or in the source, are left out.

    Raises:
      UserError: the source's images are not grey.
    """
    if source.of_clips or source.input_shape[-1] != 1:
        shape = "x".join(map(str, source.input_shape))
        raise UserError(
            f"config.clips.task: '{recipe.task}' clips are made of grey images, and {source.name}"
            f" has {shape}; choose a grey set, such as mnist, with config.data.name"
        )
    splits = {
        name: MovingDigitsSplit(recipe, split.inputs, split.labels, seed, name, num_clips[name])
        for name, split in source.splits.items()
        if num_clips.get(name) and isinstance(split, ArraySplit)
    }
    return dataclasses.replace(
        source,
        fingerprints={name: split.fingerprint() for name, split in splits.items()},
        class_names=_motions(recipe) if recipe.task == "motion" else source.class_names,
        splits=splits,
        input_shape=(recipe.num_frames, recipe.height, recipe.width, recipe.channels),
    )


def _motions(recipe: MovingDigits) -> tuple[str, ...]:
    return MOTIONS if recipe.turn else MOTIONS[:_NUM_DIRECTIONS]


def _scaled(images: HostImages, size: int) -> np.ndarray:
    """Grey images as (N, size, size), averaged where they shrink."""
    grey = images[..., 0]
    if grey.shape[1:] == (size, size):
        return grey
    scaled = np.empty((len(grey), size, size), np.uint8)
    for index, image in enumerate(grey):
        scaled[index] = np.asarray(
            Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
        )
    return scaled


def _clip(
    recipe: MovingDigits,
    digits: Digits,
    labels: DigitLabels,
    key: PRNGKey,
) -> dict[str, Array]:
    """One clip, every random number of which comes from its key."""
    courses = _courses(recipe)
    around = [_PLACE * recipe.height, _PLACE * recipe.width, _ANGLE]
    lengths = recipe.num_frames + 1 - recipe.min_frames
    spans = [len(labels), lengths, len(courses), *around, *3 * [_NUM_SHADES]]
    blocks = _blocks_shape(recipe) if recipe.occlusion else [0]
    pixels = _frames_shape(recipe) if recipe.noise else [0]
    chances, block_words, pixel_words = words(key, [len(spans)], blocks, pixels)
    draws = below(chances, np.array(spans))
    number, length, course = draws[0], recipe.min_frames + draws[1], draws[2]

    # All that one frame shows is uniform on a circle, a shift of which is uniform again: whatever
    # the course, row, column and angle have the same distribution in every frame.
    start = draws[3:6]
    if recipe.task == "digit":
        start = start.at[2].set(0)  # Upright: 6 is not 9.
    poses = (start[None] + jnp.asarray(courses)[course]) % np.array([around], np.int32)

    frames = _drawn(digits[number], poses, recipe.height, recipe.width)[..., None]
    if recipe.channels == 3:
        colour = (257 - _NUM_SHADES + draws[6:9]).reshape(1, 1, 1, 3)
        frames = (frames >> 8) * colour
    if recipe.occlusion:
        frames = jnp.where(_hidden(block_words, recipe)[..., None], 0, frames)
    if recipe.noise:
        frames += noise(pixel_words, recipe.noise)
    levels = jnp.clip((frames + LEVEL // 2) >> 16, 0, 255).astype(jnp.uint8)
    real = jnp.arange(recipe.num_frames) < length
    inputs = jnp.where(real[:, None, None, None], levels, 0)
    label = course if recipe.task == "motion" else labels[number]
    return {"inputs": inputs, "labels": label, "lengths": length}


def _courses(recipe: MovingDigits) -> np.ndarray:
    """Row, column and angle since frame 0, by course and frame: (courses, T, 3) int32.

    The courses are the motions, in their order, or headings all around.
    """
    if recipe.task == "motion":
        directions = _DIRECTIONS[: len(_motions(recipe))].astype(np.float64)
    else:
        heading = 2 * np.pi * np.arange(_NUM_HEADINGS) / _NUM_HEADINGS
        directions = np.stack([np.sin(heading), np.cos(heading), 0 * heading], axis=-1)
    pace = np.array([_PLACE * recipe.speed, _PLACE * recipe.speed, _ANGLE * recipe.turn / 360])
    around = np.array([_PLACE * recipe.height, _PLACE * recipe.width, _ANGLE])
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
    down = _nearest(_PLACE * jnp.arange(height)[None, :, None] - row, _PLACE * height)
    right = _nearest(_PLACE * jnp.arange(width)[None, None, :] - column, _PLACE * width)
    waves = jnp.asarray(_WAVES)[angle]
    cosine, sine = waves[..., 0], waves[..., 1]

    def place(turned: Int32[Array, "T height width"]) -> Int32[Array, "T height width"]:
        """From offsets in parts of parts to a place in the digit, 1 pixel of margin included."""
        middle = _PLACE * (size + 1) // 2
        return jnp.clip((turned + _WAVE // 2) // _WAVE + middle, 0, _PLACE * (size + 1))

    source_row = place(cosine * down - sine * right)
    source_column = place(sine * down + cosine * right)
    # Looking up is what takes time, so each pixel is packed with the three that are mixed with it.
    padded = jnp.pad(digit, ((1, 2), (1, 2))).astype(jnp.uint32)
    upper, lower = padded[:-1], padded[1:]
    four = upper[:, :-1] | upper[:, 1:] << 8 | lower[:, :-1] << 16 | lower[:, 1:] << 24
    found = four.ravel()[source_row // _PLACE * (size + 2) + source_column // _PLACE]
    upper_left, upper_right, lower_left, lower_right = (
        (found >> shift & 255).astype(jnp.int32) for shift in (0, 8, 16, 24)
    )
    lower_part, right_part = source_row % _PLACE, source_column % _PLACE
    upper_part, left_part = _PLACE - lower_part, _PLACE - right_part
    return upper_part * (left_part * upper_left + right_part * upper_right) + lower_part * (
        left_part * lower_left + right_part * lower_right
    )


def _nearest(offset: Int32[Array, "..."], around: int) -> Int32[Array, "..."]:
    """The shorter way round, in [-around / 2, around / 2)."""
    return (offset + around // 2) % around - around // 2


def _frames_shape(recipe: MovingDigits) -> list[int]:
    return [recipe.num_frames, recipe.height, recipe.width, recipe.channels]


def _blocks_shape(recipe: MovingDigits) -> list[int]:
    block = _block(recipe)
    return [recipe.num_frames, -(-recipe.height // block), -(-recipe.width // block)]


def _block(recipe: MovingDigits) -> int:
    """Pixels that are hidden together, in each direction: a quarter of a digit."""
    return max(1, round(recipe.digit_size / 4))


def _hidden(
    words: UInt32[Array, "T block_rows block_columns"], recipe: MovingDigits
) -> Bool[Array, "T height width"]:
    """The pixels of blocks, each of which is hidden with the same probability."""
    blocks = (words >> 16).astype(jnp.int32) < round(recipe.occlusion * 2**16)
    pixels = blocks.repeat(_block(recipe), axis=1).repeat(_block(recipe), axis=2)
    return pixels[:, : recipe.height, : recipe.width]
