"""Leaks between splits: the same content, or the same group, on both sides."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from seqvision.data.dataset import SPLITS


@runtime_checkable
class HasContent(Protocol):
    """An example: where it comes from, a number from its content, and its group, "" for none."""

    @property
    def name(self) -> str: ...
    @property
    def pixels(self) -> float: ...
    @property
    def group(self) -> str: ...


def leaks(parts: Mapping[str, Sequence[HasContent]]) -> Iterator[str]:
    """A line for each pair of splits that share content, and for each that share groups."""
    for one, other in itertools.combinations([name for name in SPLITS if name in parts], 2):
        known = {example.pixels: example for example in parts[one]}
        same = [example for example in parts[other] if example.pixels in known]
        if same:
            yield (
                f"leak: {len(same)} of {len(parts[other])} {other} examples have the same content"
                f" as {one} examples, such as {same[0].name} and {known[same[0].pixels].name}; a"
                f" score on {other} is too good: remove them from one of the two"
            )
        groups = {example.group for example in parts[one] if example.group}
        shared = [example for example in parts[other] if example.group in groups]
        if shared:
            count = len({example.group for example in shared})
            yield (
                f"leak: {len(shared)} of {len(parts[other])} {other} examples are of {count} groups"
                f" that {one} has too, such as {shared[0].group} ({shared[0].name}); a score on"
                f" {other} is too good: keep each group in one split"
            )
