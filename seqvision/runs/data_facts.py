"""What a run has to know of its data to be used without it."""

import dataclasses
from pathlib import Path
from typing import Any

from seqvision.data.dataset import SPLITS, Dataset
from seqvision.errors import UserError
from seqvision.runs.files import ENVIRONMENT, read_json


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """What a run has to know of its data to be used without it.

    Attributes:
      name, version, class_names, fingerprints: see `data.dataset.Dataset`.
      input_shape: height, width, channels of its images; (T, height, width, channels) of its clips.
      background: how the borders of its training images look: dark, light or mixed.
    """

    name: str
    version: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    background: str
    fingerprints: dict[str, str]

    @property
    def of_clips(self) -> bool:
        return len(self.input_shape) == 4

    def describes(self, dataset: Dataset) -> bool:
        """Whether it is the same data: the same examples, and the same names of their classes."""
        same = self.fingerprints == dict(dataset.fingerprints)
        return same and self.class_names == dataset.class_names

    def hint(self, dataset: Dataset) -> str:
        """A word on a set that was streamed and no longer is, or the other way round."""
        was_streamed = not self.fingerprints.keys() <= set(SPLITS)
        if was_streamed == dataset.is_streamed:
            return ""
        now, then = ("streamed", "in memory") if dataset.is_streamed else ("in memory", "streamed")
        return f" (it was {then}, it is {now}: see config.data.resident_bytes)"

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "DataFacts":
        return cls(
            **{
                **facts,
                "input_shape": tuple(facts["input_shape"]),
                "class_names": tuple(facts["class_names"]),
            }
        )


def read_data_facts(workdir: Path) -> DataFacts:
    """What the run wrote down about its data."""
    path = workdir / ENVIRONMENT
    content = read_json(path)
    try:
        return DataFacts.from_json(content["data"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: not of this version of seqvision, or damaged") from None
