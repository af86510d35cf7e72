"""The values that the pixels of a training split take: images that are nearly black are named."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from seqvision.data.dataset import ArraySplit, Split
from seqvision.data.files.tones import FILE_BY_FILE, Range, Tones
from seqvision.errors import UserError

# A quarter of 0 to 255: masks of 0 and 1, and pictures of 16 or 64 levels, use less.
_LEAST_RANGE = 64
# Of a streamed split so many examples are looked at.
_MOST_STREAMED = 8
# Of all pixels: a single infinite voxel is white among black ones.
_NEARLY_ALL = 0.995


def check_values(
    where: str,
    train: Split,
    say: Callable[[str], None],
    tones: Tones = FILE_BY_FILE,
    values: Callable[[], Range | None] = lambda: None,
) -> None:
    """Says where the pixels of a training split use a small part of 0 to 255.

    Args:
      where: the set, for the line.
      train: of images or clips; of a streamed one, some examples are looked at.
      say: called with the line.
      tones: of the set, whose range of values may be chosen otherwise.
      values: the smallest and the largest of the training values before that; called where all or
        nearly all pixels are one end of the range.

    Raises:
      UserError: all pixels of all examples are equal.
    """
    in_memory = isinstance(train, ArraySplit)
    count = len(train) if in_memory else min(len(train), _MOST_STREAMED)
    numbers = np.linspace(0, len(train) - 1, count).astype(np.int32)
    arrays = train.arrays if in_memory else train.read(numbers)
    inputs, lengths = arrays["inputs"], arrays.get("lengths")
    # What follows a clip's own frames is no pixel of it.
    parts = [inputs] if lengths is None else [c[:n] for c, n in zip(inputs, lengths, strict=True)]
    low = min(int(part.min()) for part in parts)
    high = max(int(part.max()) for part in parts)
    all_equal = low == high and count == len(train)
    if tones.ranges and (line := _at_one_end(parts, tones, values)):
        if all_equal:
            raise UserError(f"{where}: {line}")
        say(f"{where}: {line}")
        return
    if all_equal:
        raise _all_equal(where, low)
    if high - low < _LEAST_RANGE:
        formula = f"(images - {low})" if low else "images"
        instead = (
            f"if {high} is white, save"
            f" np.round({formula} * (255 / {max(high - low, 1)})).astype(np.uint8)"
        )
        if tones.ranges:
            instead = "choose a narrower config.data.value_range"
        say(
            f"{where}: the training pixels are {low} to {high}, of 0 (black) to 255 (white), which"
            f" is hard to learn from; {instead}"
        )


def _at_one_end(
    parts: Sequence[np.ndarray], tones: Tones, values: Callable[[], Range | None]
) -> str:
    """What to say where nearly all pixels are black, or white; "" where they are not."""
    total = sum(part.size for part in parts)
    for level, name in ((0, "black"), (255, "white")):
        count = sum(np.count_nonzero(part == level) for part in parts)
        if count < _NEARLY_ALL * total:
            continue
        percent = math.floor(10_000 * count / total) / 100
        share = "all" if count == total else f"{percent:g} % of the"
        found = values()
        if found and found[0] == found[1]:  # No range helps.
            return ""
        of_values = f"; the training values are {found[0]:g} to {found[1]:g}" if found else ""
        ranges = ", ".join(f"{low:g} to {high:g}" for low, high in tones.ranges)
        return (
            f"{share} training pixels are {level} ({name}): config.data.value_range reads {ranges}"
            f" as black to white{of_values}; choose a range that these fill"
        )
    return ""


def check_differ(where: str, frames: Iterable[np.ndarray]) -> None:
    """Refuses examples whose pixels are all equal.

    Raises:
      UserError: they are; see `check_values`.
    """
    values = {int(value) for one in frames for value in (one.min(), one.max())}
    if len(values) == 1:
        raise _all_equal(where, values.pop())


def _all_equal(where: str, value: int) -> UserError:
    return UserError(
        f"{where}: all pixels of all training examples are {value}, so there is nothing to learn"
        " from; check how the images were saved"
    )
