"""Reading of the user's images and clips from files, as a classifier was trained on them."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seqvision.data.files.doubts import Doubts
from seqvision.data.files.images import read_image
from seqvision.data.files.tones import Tones
from seqvision.inference.inputs import Input, read_inputs


@dataclasses.dataclass(frozen=True)
class FrameCount:
    """How many frames a clip must have.

    Attributes:
      needed: 0 where any number will do.
      or_more: whether more are read, too.
    """

    needed: int = 0
    or_more: bool = False

    def fault(self, clip: np.ndarray) -> str:
        """Why a network with a CNN for each frame position cannot read a clip; "" where it can."""
        count = len(clip)
        if not self.needed or count == self.needed or (self.or_more and count > self.needed):
            return ""
        found = f"a clip of {count} frame{'s' if count > 1 else ''}"
        at_least = "at least " if self.or_more else ""
        return (
            f"{found}; this run reads clips of {at_least}{self.needed} (config.model.cnn_per_frame)"
        )


@dataclasses.dataclass(frozen=True)
class FileReader:
    """Reads files one by one, as they are asked for; it needs no JAX, and can be pickled.

    Attributes:
      input_shape, background, tones: see `runs.data_facts.DataFacts`.
      invert: see `data.files.images.read_image`, and `inputs.read_inputs`.
      trained_size, most_cut: see `data.files.doubts.Doubts`.
      frame_count: of clips.
    """

    input_shape: tuple[int, ...]
    background: str
    tones: Tones
    invert: str
    trained_size: tuple[int, int] | None
    most_cut: float
    frame_count: FrameCount

    def __call__(self, paths: Iterable[Path]) -> Iterator[Input]:
        doubts, of_clips = Doubts(self.trained_size, self.most_cut), len(self.input_shape) == 4
        look = self.background, self.invert, self.tones, doubts

        def image_of(path: Path) -> np.ndarray:
            return read_image(path, self.input_shape[-3:], *look)

        for one in read_inputs(paths, self.input_shape, of_clips, image_of, *look):
            fault = "" if one.array is None else self.frame_count.fault(one.array)
            yield one._replace(array=None, error=fault, doubt=None) if fault else one
