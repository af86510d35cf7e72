"""EMNIST (Cohen et al., 2017, arXiv 1702.05373) the way people see it: upright, classes by name."""

import dataclasses
import string

import numpy as np

from seqvision.data.dataset import ArraySplit, Dataset

_ALL = string.digits + string.ascii_uppercase + string.ascii_lowercase
# The small letters that `bymerge` and `balanced` do not tell from capitals (section II.B).
_MERGED = "".join(symbol for symbol in _ALL if symbol not in "cijklmopsuvwxyz")
SYMBOLS = {
    "byclass": _ALL,
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}
# `letters` counts from 1, and TFDS gives it 37 classes.
FIRST_LABEL = {"letters": 1}


def upright(dataset: Dataset, config: str) -> Dataset:
    """TFDS's EMNIST, whose images lie on their side and whose classes have numbers for names.

    Args:
      dataset: as TFDS has it, rows and columns exchanged.
      config: TFDS's name of the variant, such as `letters`.

    Returns:
      The same images, their classes named by their symbols; in `letters`, where a class has both
      cases, by the small letter.
    """
    splits: dict[str, ArraySplit] = {}
    for name, split in dataset.splits.items():
        assert isinstance(split, ArraySplit)
        labels = split.labels - np.int32(FIRST_LABEL.get(config, 0))
        splits[name] = ArraySplit(np.ascontiguousarray(split.inputs.swapaxes(1, 2)), labels)
    return dataclasses.replace(
        dataset,
        class_names=tuple(SYMBOLS[config]),
        splits=splits,
        input_shape=splits["train"].inputs.shape[1:],
        fingerprints={name: split.fingerprint() for name, split in splits.items()},
    )
