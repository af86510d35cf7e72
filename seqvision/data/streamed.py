"""Examples that are read when they are needed, from a set that is larger than memory."""

import dataclasses
import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from seqvision.shapes import Indices


@runtime_checkable
class Source(Protocol):
    """Labelled images or clips that can be read one by one, in any order, by many threads."""

    def __len__(self) -> int: ...

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """The examples with these numbers (B,).

        Returns:
          What `dataset.ArraySplit.take` returns of the same examples.

        Raises:
          UserError: one of them cannot be read (any more): one line that names it.
        """


@dataclasses.dataclass(frozen=True)
class StreamedSplit:
    """A split of which no more is in memory than what is being trained on.

    Attributes:
      source: where its examples lie.
      numbers: those of its examples in the source, in the order of the split.
      input_shape: of an image or a clip, see `dataset.Dataset`.
      names: the file or array that each comes from; () where nobody knows.
    """

    source: Source
    numbers: range
    input_shape: tuple[int, ...]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def num_bytes(self) -> int:
        """What its inputs would be as an array in memory."""
        return len(self) * math.prod(self.input_shape)

    def read(self, indices: Indices) -> dict[str, np.ndarray]:
        """The examples with these numbers (B,) in the split; see `Source.read`."""
        return self.source.read(np.asarray(self.numbers.start + indices, np.int32))

    @staticmethod
    def take(arrays: Any, indices: Any) -> dict[str, Any]:
        """See `dataset.Split.take`: of those examples that were read and put on the devices."""
        return {name: array[indices] for name, array in arrays.items()}

    def part(self, start: int, stop: int) -> "StreamedSplit":
        """Examples number `start` to `stop`."""
        return dataclasses.replace(
            self, numbers=self.numbers[start:stop], names=self.names[start:stop]
        )
