"""Content of a file: what it holds before a set's scale and paper are laid over it."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from seqvision.data.files.deep import DeepPixels
from seqvision.data.files.physical_values import is_inverted


class Content:
    """Collects the content of one file of deep or transparent pictures, for its hash.

    Attributes:
      on_own_paper: of transparent frames of 8 bits, these as the file alone would be read; None
        where they are read so anyway.
    """

    def __init__(self) -> None:
        self.on_own_paper: list[Image.Image] | None = None
        self._digest = hashlib.sha256()
        self._any = False

    def add(self, images: Sequence[Image.Image], deep: Mapping[int, DeepPixels]) -> None:
        """Takes note of frames, of which those of the numbers `deep` are deep."""
        for number, image in enumerate(images):
            if number in deep:
                values, opacity = deep[number]
            else:
                bands = np.asarray(image.convert("RGBA"))
                values, opacity = bands[..., :3], bands[..., 3]
            values = np.atleast_3d(values)
            if (values == values[..., :1]).all():
                values = values[..., :1]
            if opacity is not None and (opacity == 255).all():
                opacity = None
            if opacity is not None:  # What is wholly transparent shows nothing of its colour.
                values = np.where(opacity[..., None] > 0, values, 0)
            depth = "deep" if number in deep else "8 bits"
            shape = (depth, values.shape, opacity is None, *("inverted",) * is_inverted(image))
            self._digest.update(repr(shape).encode())
            for row in values:  # As floats, so that equal numbers of any kind have one hash.
                self._digest.update(np.ascontiguousarray(row, np.float64).data)
            self._digest.update(b"" if opacity is None else np.ascontiguousarray(opacity).data)
        self._any = True

    @property
    def digest(self) -> bytes | None:
        """SHA-256 of all that was added; None where nothing was."""
        return self._digest.digest() if self._any else None
