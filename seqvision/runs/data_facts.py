"""Facts about a run's data that are saved with it, so that it can be used without the data."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.config.schema import Settings
from seqvision.data.dataset import SPLITS, Dataset
from seqvision.data.files.images import background_of
from seqvision.data.files.line_look import Looks
from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.data.targets import CLASSES, Targets
from seqvision.errors import UserError
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.records import read_record

_BACKGROUND_EXAMPLES = 1000
_LOOK_EXAMPLES = 200
_FACTS = {
    **dict.fromkeys(("name", "version", "background"), str),
    "input_shape": [int],
    "class_names": [str],
    "fingerprints": {"*": str},
}


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """Facts about the data that a run was trained on.

    Attributes:
      name, version, class_names, fingerprints: see `data.dataset.Dataset`.
      input_shape: (height, width, channels) of an image; (T, height, width, channels) of a clip.
      background: brightness at the borders of the training images: dark, light or mixed.
      tones: of deep and transparent training images; runs of version 0.2.0 and before have none.
      looks: of the training lines; None where they are no lines, in runs of version 0.2.0 and
        before, and where none has ink.
      targets: what the labels are; in runs of version 0.2.0 and before, one class each.
    """

    name: str
    version: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    background: str
    fingerprints: dict[str, str]
    tones: Tones = FILE_BY_FILE
    looks: Looks | None = None
    targets: Targets = CLASSES

    @classmethod
    def of(cls, settings: Settings, dataset: Dataset) -> "DataFacts":
        """The facts about a loaded data set."""
        return cls(
            name=dataset.name,
            version=dataset.version,
            input_shape=dataset.read_shape,
            class_names=dataset.class_names,
            background=_background(settings, dataset),
            fingerprints=dict(dataset.fingerprints),
            tones=dataset.tones,
            looks=_looks(settings, dataset),
            targets=dataset.targets,
        )

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "DataFacts":
        """The facts as they were read from `environment.json`."""
        tuples = {name: tuple(facts[name]) for name in ("input_shape", "class_names")}
        tones = Tones.from_json(facts["tones"]) if "tones" in facts else FILE_BY_FILE
        looks = Looks.from_json(facts.get("looks"))
        targets = Targets(**facts["targets"]) if "targets" in facts else CLASSES
        return cls(**facts | tuples | {"tones": tones, "looks": looks, "targets": targets})

    @property
    def of_clips(self) -> bool:
        return len(self.input_shape) == 4

    def describes(self, dataset: Dataset) -> bool:
        """Whether a data set has the same examples and the same class names."""
        same = self.fingerprints == dict(dataset.fingerprints)
        same &= self.targets.kind == dataset.targets.kind
        return same and self.class_names == dataset.class_names

    def hint(self, dataset: Dataset) -> str:
        """A remark where one of the two sets was streamed and the other held in memory, or ""."""
        if dataset.frames_shape:
            return ""
        was_streamed = not self.fingerprints.keys() <= set(SPLITS)
        if was_streamed == dataset.is_streamed:
            return ""
        now, then = ("streamed", "in memory") if dataset.is_streamed else ("in memory", "streamed")
        return f" (it was {then}, it is {now}: see config.data.resident_bytes)"


def read_data_facts(workdir: Path) -> DataFacts:
    """Reads the facts about a run's data from its `environment.json`.

    Raises:
      UserError: the file is missing, damaged or of another version of seqvision.
    """
    path = workdir / ENVIRONMENT
    content = read_record(path, {"data": _FACTS})
    try:
        return DataFacts.from_json(content["data"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: not of this version of seqvision, or damaged") from None


def _background(settings: Settings, dataset: Dataset) -> str:
    """Brightness at the images' borders; prediction inverts other images to match it.

    The user's own images are never inverted: theirs is `mixed`.
    """
    train = dataset.split("train")
    if settings.data.source != "tfds":
        return "mixed"
    first = np.arange(min(_BACKGROUND_EXAMPLES, len(train)), dtype=np.int32)
    return background_of(train.read(first)["inputs"])


def _looks(settings: Settings, dataset: Dataset) -> Looks | None:
    """How the first training lines look; prediction brings other lines to it."""
    if not settings.reads_text:
        return None
    train = dataset.split("train")
    first = train.read(np.arange(min(_LOOK_EXAMPLES, len(train)), dtype=np.int32))
    lines = zip(first["inputs"], first["lengths"], strict=True)
    return Looks.of_lines(line[:, :length, 0] for line, length in lines)
