"""The values that the pixels of a training split take: images that are nearly black are named."""

from collections.abc import Callable, Iterable

import numpy as np

from seqvision.data.dataset import ArraySplit, Split
from seqvision.errors import UserError

# A quarter of 0 to 255: masks of 0 and 1, and pictures of 16 or 64 levels, use less.
_LEAST_RANGE = 64
# Of a streamed split so many examples are looked at.
_MOST_STREAMED = 8


def check_values(
    where: str, train: Split, say: Callable[[str], None], is_scaled: bool = False
) -> None:
    """Says where the pixels of a training split use a small part of 0 to 255.

    Args:
      where: the set, for the line.
      train: of images or clips; of a streamed one, some examples are looked at.
      say: called with the line.
      is_scaled: whether the set has a range of values, which may be chosen otherwise.

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
    if low == high and count == len(train):
        raise _all_equal(where, low)
    if high - low < _LEAST_RANGE:
        formula = f"(images - {low})" if low else "images"
        instead = (
            f"if {high} is white, save"
            f" np.round({formula} * (255 / {max(high - low, 1)})).astype(np.uint8)"
        )
        if is_scaled:
            instead = "choose a narrower config.data.value_range"
        say(
            f"{where}: the training pixels are {low} to {high}, of 0 (black) to 255 (white), which"
            f" is hard to learn from; {instead}"
        )


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
