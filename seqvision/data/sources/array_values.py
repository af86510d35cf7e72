"""Values of arrays of more than 8 bits: their content, the scale of their set, and their bytes."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from seqvision.data.files.tones import Range, Tones, in_channels, range_of_extremes
from seqvision.data.sources.npz_memory_map import extremes
from seqvision.data.sources.set_tones import SAMPLED_FILES, SAMPLED_VALUES, percentiles_of
from seqvision.errors import UserError


def are_deep(types: Mapping[str, np.dtype], stated: str) -> bool:
    """Whether arrays, by their names, are of more than 8 bits.

    Args:
      types: of the arrays of all splits.
      stated: what `config.data.value_range` is, where it is not auto; else "".

    Raises:
      UserError: some are and others are not, or a range is stated and none is.
    """
    deep = [name for name, dtype in types.items() if dtype != np.uint8]
    shallow = [name for name in types if name not in deep]
    if deep and shallow:
        raise UserError(
            f"{deep[0]} is {types[deep[0]]} and {shallow[0]} uint8; save them all in one type, with"
            " one meaning of their values"
        )
    if shallow and stated:
        raise UserError(
            f"config.data.value_range: '{stated}' has no effect on {shallow[0]}, which is uint8 and"
            " read as 0 (black) to 255; leave it at auto, or save the values as uint16 or float32"
        )
    return bool(deep)


def tones_of_arrays(
    clips: Sequence[np.ndarray], stated: Tones, percentiles: tuple[float, float] | None
) -> Tones:
    """The scale of a set of deep arrays, over those of the training split.

    Args:
      clips: the training examples, (T, height, width, channels) each.
      stated, percentiles: see `set_tones.tones_of`.

    Raises:
      UserError: no value is finite, or the percentiles are one value.
    """
    kind = f"{clips[0].dtype.name} arrays"
    if stated.value_range:
        return dataclasses.replace(stated, kinds=(kind,))
    if percentiles:
        value_range = percentiles_of(_sample(clips), percentiles)
        first, last = percentiles
        chosen = f"percentiles {first:g} and {last:g} of the training split"
        return Tones(value_range, "", (), (kind,), chosen)
    low, high = math.inf, -math.inf
    for clip in clips:
        smallest, largest = extremes(clip)
        low, high = min(low, smallest), max(high, largest)
    if low > high:
        raise UserError("the training images have no finite value: all are NaN or infinite")
    return Tones(range_of_extremes(low, high), kinds=(kind,))


def _sample(clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    sample = []
    for clip in clips[:: (len(clips) - 1) // SAMPLED_FILES + 1]:
        values = clip.ravel()
        values = values[:: len(values) // SAMPLED_VALUES + 1].astype(np.float64)
        sample.append(values[np.isfinite(values)])
    return sample


def fraction_of_values(clip: np.ndarray) -> float:
    """As `hash_split.fraction_of`, from values before a scale is laid over them."""
    digest = hashlib.sha256(repr(("values", clip.shape)).encode())
    for frame in clip:
        digest.update(np.ascontiguousarray(frame, np.float64).data)
    return int.from_bytes(digest.digest()[:6], "big") / 2**48


def shape_in_channels(clip: np.ndarray, tones: Tones) -> tuple[int, ...]:
    """The shape of `bytes_of` a clip."""
    return (*clip.shape[:3], len(tones.ranges)) if len(tones.ranges) > 1 else clip.shape


def bytes_of(clip: np.ndarray, ranges: Sequence[Range]) -> np.ndarray:
    """A clip (T, height, width, channels) as uint8, with a channel for each of several ranges.

    Raises:
      UserError: no value of it is finite, or it has colours and there are several ranges.
    """
    if clip.dtype.kind == "f" and not np.isfinite(clip).any():
        raise UserError("it has no finite value: all are NaN or infinite")
    if len(ranges) > 1 and clip.shape[-1] != 1:
        raise UserError(
            "it has colours, and the three ranges of config.data.value_range are for grey values;"
            " name one range"
        )
    return in_channels(clip, ranges)


def reader(
    name: str, clip: np.ndarray, ranges: Sequence[Range], fitted: Callable[..., np.ndarray]
) -> Callable[[], np.ndarray]:
    """Reads a clip as bytes, `fitted` to a size; errors name it."""

    def read() -> np.ndarray:
        try:
            return fitted(bytes_of(clip, ranges))
        except UserError as error:
            raise UserError(f"{name}: {error}") from error

    return read
