"""Corruptions of sequences: of their time steps, their brightness, their place.

Each is a pure function of one example, of random words and of a strength in thousandths; strength 0
changes nothing. All is counted in whole numbers, so that the bits are the same in any batch and on
any device (see `synthetic.random_integers`). With the same words a higher strength changes what a
lower one changes, and more. "s of n" is ceil(s / 1000 * n).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int32, UInt8, UInt32

from seqvision.data.synthetic.random_integers import LEVEL
from seqvision.data.synthetic.random_integers import noise as normal_noise
from seqvision.errors import UserError, did_you_mean
from seqvision.shapes import Count

STRENGTHS: dict[str, tuple[int, int, int]] = {
    "drop": (100, 200, 400),
    "repeat": (100, 200, 400),
    "swap": (250, 500, 1000),
    "delay": (50, 100, 200),
    "gain_drift": (300, 600, 900),
    "noise": (100, 200, 400),
    "shift": (50, 100, 200),
    "occlusion": (200, 400, 600),
}
"""Of each corruption: weak, medium, strong. Random words depend on the place in this table."""
LENGTHENING = ("repeat", "delay")
"""Those that make a sequence longer."""

Words = UInt32[Array, "_"]
"""T + 1 random words for a sequence of at most T steps."""
StepWords = UInt32[Array, "T"]
Chosen = Bool[Array, "T"]
Source = Int32[Array, "room"]
"""At each place the number of the step that comes there; -1 where there is none."""
AnySteps = UInt8[Array, "room ..."]
Pictures = UInt8[Array, "*frames height width channels"]


def chosen_corruptions(asked: str) -> tuple[str, ...]:
    """The names in a flag: `all`, or some with commas between them, in their own order.

    Raises:
      UserError: an unknown name, or one twice.
    """
    if asked == "all":
        return tuple(STRENGTHS)
    names = tuple(name.strip() for name in asked.split(","))
    for name in names:
        if name not in STRENGTHS:
            raise UserError(
                f"--corrupt: '{name}' is not known; write all, or some of"
                f" {','.join(STRENGTHS)}{did_you_mean(name, STRENGTHS)}"
            )
        if names.count(name) > 1:
            raise UserError(f"--corrupt: '{asked}' names {name} twice; name it once")
    return names


def part_of(strength: Count, number: Count) -> Count:
    """s of n: ceil(s / 1000 * n)."""
    return (strength * number + 999) // 1000


# --- time steps ---


def drop(words: Words, length: Count, strength: Count, room: int) -> tuple[Source, Count]:
    """Steps are lost: s of n, but never all; those behind them move up.

    Which ones: those with the smallest random words.

    Args:
      words: (T + 1,).
      length: n, 1 to T.
      strength: s, thousandths of the steps.
      room: places for steps, T to 2 T; what does not fit is cut off.

    Returns:
      The source of each place, and the new length.
    """
    lost = jnp.minimum(part_of(strength, length), length - 1)
    kept = ~_smallest(words[1:], length, lost) & _within(words[1:], length)
    (source,) = jnp.nonzero(kept, size=room, fill_value=-1)
    return source.astype(jnp.int32), length - lost


def repeat(words: Words, length: Count, strength: Count, room: int) -> tuple[Source, Count]:
    """Steps come twice: s of n, those with the smallest random words. See `drop`."""
    repeated = part_of(strength, length)
    twice = _smallest(words[1:], length, repeated)
    copies = _within(words[1:], length).astype(jnp.int32) + twice.astype(jnp.int32)
    source = jnp.repeat(jnp.arange(copies.shape[0]), copies, total_repeat_length=room)
    return _cut(source, length + repeated)


def swap(words: Words, length: Count, strength: Count, room: int) -> tuple[Source, Count]:
    """Neighbours change places: s of the pairs (o, o + 1), (o + 2, o + 3), ... within the length.

    o is 0 or 1 at random; which pairs: those with the smallest random words. See `drop`.
    """
    first = (words[0] & 1).astype(jnp.int32)
    num_pairs = jnp.maximum(length - first, 0) // 2
    swapped = _smallest(words[1:], num_pairs, part_of(strength, num_pairs))
    place = jnp.arange(room)
    behind = place - first
    is_swapped = (behind >= 0) & swapped[jnp.maximum(behind, 0) // 2]
    return _cut(jnp.where(is_swapped, first + (behind ^ 1), place), length)


def delay(words: Words, length: Count, strength: Count, room: int) -> tuple[Source, Count]:
    """From a random step on, all come d later, d = s of n; d empty steps are in between.

    See `drop`.
    """
    late = part_of(strength, length)
    start = _below(words[0], length)
    place = jnp.arange(room)
    source = jnp.where(place < start, place, jnp.where(place < start + late, -1, place - late))
    return _cut(source, length + late)


def _cut(source: Source, length: Count) -> tuple[Source, Count]:
    """Nothing behind the end, which is within the room."""
    room = source.shape[0]
    return jnp.where(jnp.arange(room) < length, source, -1), jnp.minimum(length, room)


def _within(words: StepWords, number: Count) -> Chosen:
    return jnp.arange(words.shape[0]) < number


def _smallest(words: StepWords, number: Count, chosen: Count) -> Chosen:
    """Which are the `chosen` smallest of the first `number` words; of equal ones, the first."""
    # What is behind comes last even beside the largest word, since the sort is stable.
    order = jnp.argsort(jnp.where(_within(words, number), words, jnp.uint32(2**32 - 1)))
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(order.shape[0]))
    return rank < chosen


def _below(word: UInt32[Array, ""], span: Count) -> Count:
    return (word % span.astype(jnp.uint32)).astype(jnp.int32)


TIME: dict[str, Callable[[Words, Count, Count, int], tuple[Source, Count]]] = {
    "drop": drop,
    "repeat": repeat,
    "swap": swap,
    "delay": delay,
}
"""Those that change which steps come when."""

# --- brightness ---


def gain_drift(words: Words, steps: AnySteps, length: Count, strength: Count) -> AnySteps:
    """Brightness drifts: step t of n is multiplied by 1 + r, r = floor(±s * t / (n - 1)) / 1000.

    The sign is random. Rounded, halves up, and cut off at 255.

    Args:
      words: of which the first is used.
      steps: of any shape.
      length: n; what is behind stays 0.
      strength: s, thousandths of the brightness, 0 to 1000.
    """
    sign = 1 - 2 * (words[0] & 1).astype(jnp.int32)
    change = sign * strength * jnp.arange(steps.shape[0]) // jnp.maximum(length - 1, 1)
    gain = (1000 + change).reshape(-1, *[1] * (steps.ndim - 1))
    changed = jnp.clip((steps.astype(jnp.int32) * gain + 500) // 1000, 0, 255)
    return _only_steps(changed, length)


def noise(
    words: UInt32[Array, "room ..."], steps: AnySteps, length: Count, strength: Count
) -> AnySteps:
    """Each value gets near-normal noise of its own; rounded, and cut off at 0 and 255.

    Args:
      words: as many as values, see `random_integers.noise`.
      steps: of any shape.
      length: what is behind stays 0.
      strength: its standard deviation, thousandths of 255, 0 to 1000.
    """
    parts = steps.astype(jnp.int32) * LEVEL + normal_noise(words, 0.001) * strength
    return _only_steps(jnp.clip((parts + LEVEL // 2) // LEVEL, 0, 255), length)


def _only_steps(values: Int32[Array, "room ..."], length: Count) -> AnySteps:
    place = jnp.arange(values.shape[0]).reshape(-1, *[1] * (values.ndim - 1))
    return jnp.where(place < length, values, 0).astype(jnp.uint8)


# --- place ---


def shift(words: Words, pictures: Pictures, axes: tuple[int, ...], strength: Count) -> Pictures:
    """Moves a picture by s of its height or width, to one side or the other at random.

    What moves in is 0.

    Args:
      words: of which the first ones are used, one for each axis.
      pictures: an image, or a clip, which moves as a whole.
      axes: along which it moves: -3, -2 or both.
      strength: s, thousandths of the length of each axis.
    """
    for word, axis in zip(words, axes, strict=False):
        size = pictures.shape[axis]
        sign = 1 - 2 * (word & 1).astype(jnp.int32)
        source = jnp.arange(size) - sign * part_of(strength, jnp.int32(size))
        inside = ((source >= 0) & (source < size)).reshape(-1, *[1] * (-1 - axis))
        moved = jnp.take(pictures, jnp.clip(source, 0, size - 1), axis=axis)
        pictures = jnp.where(_under(pictures, inside), moved, 0)
    return pictures


def occlusion(words: Words, pictures: Pictures, width: Count, strength: Count) -> Pictures:
    """A square is 0: its sides are s of the shorter side, its place is random.

    Args:
      words: of which two are used: for the row and for the column.
      pictures: an image, or a clip, of which the same place is hidden in each frame.
      width: its columns; those behind are padding.
      strength: s, thousandths of the shorter side.
    """
    height = jnp.int32(pictures.shape[-3])
    side = part_of(strength, jnp.minimum(height, width))
    top = _below(words[0], height - side + 1)
    left = _below(words[1], width - side + 1)
    row, column = jnp.arange(pictures.shape[-3]), jnp.arange(pictures.shape[-2])
    in_rows = (row >= top) & (row < top + side)
    in_columns = (column >= left) & (column < left + side)
    hidden = (in_rows[:, None] & in_columns[None])[..., None]
    return jnp.where(_under(pictures, hidden), 0, pictures)


def _under(pictures: Pictures, mask: Bool[Array, "..."]) -> Bool[Array, "..."]:
    """A mask of the last axes with as many axes as pictures."""
    return mask.reshape(*[1] * (pictures.ndim - mask.ndim), *mask.shape)
