"""Splits of clips whose frames are features: in memory, or read from a store on disk."""

import dataclasses
from typing import Any

import numpy as np

from seqvision.data.dataset import Split, StreamedSplit
from seqvision.runtime.transfer import shareable
from seqvision.shapes import HostFeatures, HostLengths, Indices


@dataclasses.dataclass(frozen=True)
class FeatureSplit(Split):
    """Clips of features in memory.

    Attributes:
      arrays: `inputs` (N, T, 1, 1, D) float32, `lengths` (N,) and what else each clip has.
      names, groups: see `Split`.
    """

    arrays: dict[str, Any]
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        arrays = {name: shareable(array) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", arrays)

    def __len__(self) -> int:
        return len(self.arrays["inputs"])


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
    """Clips of features on disk: a source of a `StreamedSplit`.

    Attributes:
      features: (frames, D) of all frames in the store, a memory map.
      rows: which of these the frames of the clips are, one clip after another.
      num_frames: T, of the longest clip.
      others: the other arrays, among them `lengths` (N,).
    """

    features: Any
    rows: np.ndarray
    num_frames: int
    others: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.others["lengths"])

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """See `dataset.Source.read`."""
        ends = np.cumsum(self.others["lengths"])
        clips = [
            self.features[self.rows[ends[number] - self.others["lengths"][number] : ends[number]]]
            for number in numbers
        ]
        chosen = {name: array[numbers] for name, array in self.others.items()}
        return {"inputs": stacked(clips, self.num_frames, self.features.shape[1]), **chosen}


def stacked(clips: list[np.ndarray], num_frames: int, num_features: int) -> HostFeatures:
    """Clips (L, D) of features as (N, T, 1, 1, D), 0 behind their ends."""
    inputs = np.zeros((len(clips), num_frames, 1, 1, num_features), np.float32)
    for array, clip in zip(inputs, clips, strict=True):
        array[: len(clip), 0, 0] = clip
    return inputs


def create_split(
    features: Any,
    rows: np.ndarray,
    num_frames: int,
    others: dict[str, np.ndarray],
    frames: Split,
    in_memory: bool,
) -> FeatureSplit | StreamedSplit:
    """A split of clips whose features lie in a store; see `StoredFeatures`.

    Args:
      features, rows, num_frames, others: see `StoredFeatures`.
      frames: the clips themselves, whose names and groups these are.
      in_memory: read all of them now.
    """
    source = StoredFeatures(features, rows, num_frames, others)
    if not in_memory:
        shape = num_frames, 1, 1, features.shape[1]
        return StreamedSplit(source, range(len(source)), shape, frames.names, frames.groups)
    arrays = source.read(np.arange(len(source), dtype=np.int32))
    return FeatureSplit(arrays, frames.names, frames.groups)


def lengths_of(batch: dict[str, np.ndarray]) -> HostLengths:
    """The frames of each clip of a batch."""
    inputs = batch["inputs"]
    full = np.full(len(inputs), inputs.shape[1], np.int32)
    return batch.get("lengths", full)
