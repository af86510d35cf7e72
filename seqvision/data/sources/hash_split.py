"""Held-out splits, chosen by a hash of each example's content, not by its name or its place."""

import hashlib
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from seqvision.data.files.content import Content
from seqvision.data.files.pixels import HostFrames, without_colour
from seqvision.data.sources.groups import num_groups
from seqvision.errors import UserError


@runtime_checkable
class HasFraction(Protocol):
    """An example with its `fraction_of`."""

    @property
    def fraction(self) -> float: ...


Example = TypeVar("Example", bound=HasFraction)


def fraction_of(frames: HostFrames, content: Content | None = None) -> float:
    """A number in [0, 1) from the SHA-256 of an example's frames, before they are resized.

    The same content has the same number under any name, in any file format, among any others. Deep
    and transparent ones have another `content` than their frames, which follow the whole set.
    """
    if content and content.digest:
        return _fraction(content.digest)
    if content and content.on_own_paper:
        frames = np.stack([np.atleast_3d(np.asarray(image)) for image in content.on_own_paper])
    frames = without_colour(frames)
    digest = hashlib.sha256(repr(frames.shape).encode())
    digest.update(np.ascontiguousarray(frames).data)
    return _fraction(digest.digest())


def _fraction(digest: bytes) -> float:
    return int.from_bytes(digest[:6], "big") / 2**48


def side_of(fraction: float, validation_fraction: float, test_fraction: float) -> str:
    """`test`, `validation` or `train`."""
    if fraction < test_fraction:
        return "test"
    return "validation" if fraction < test_fraction + validation_fraction else "train"


def cut(
    given: dict[str, list[Example]],
    validation_fraction: float,
    test_fraction: float,
    of_groups: bool = False,
) -> dict[str, list[Example]]:
    """The given splits, those that are missing and asked for being cut from `train`.

    Args:
      given: by split; at least `train`.
      validation_fraction, test_fraction: of `train`, where that split is not given.
      of_groups: the fractions are those of groups, for the error.

    Raises:
      UserError: a fraction so small that it leaves a split empty.
    """
    asked = {
        split: fraction
        for split, fraction in (("validation", validation_fraction), ("test", test_fraction))
        if fraction > 0 and split not in given
    }
    sides: dict[str, list[Example]] = {split: [] for split in ("train", *asked)}
    for example in given["train"]:
        side = side_of(example.fraction, asked.get("validation", 0.0), asked.get("test", 0.0))
        sides[side].append(example)
    for split, fraction in asked.items():
        if not sides[split]:
            count, different = len(given["train"]), len({one.fraction for one in given["train"]})
            found = f" ({different} different ones: equal ones stay together)"
            if of_groups:
                found = f" (in {num_groups(different)}, each of which stays together)"
            raise UserError(
                f"config.data.{split}_fraction: {fraction} of {count} examples"
                f"{found if different < count else ''} left none for {split}; choose a larger"
                " fraction, or 0 to do without"
            )
    parts = given | sides
    return {split: parts[split] for split in ("train", "validation", "test") if split in parts}
