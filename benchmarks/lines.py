"""Test lines of a run that reads text."""

import dataclasses
from pathlib import Path

import jax
import numpy as np

from seqvision.config.schema import Settings
from seqvision.data.alphabet import Alphabet
from seqvision.data.batching import padded_indices
from seqvision.data.dataset import StreamedSplit
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.runs.compatibility import read_settings
from seqvision.runtime.console import say

_BATCH_SIZE = 500


def read_text_settings(workdir: Path) -> Settings:
    """The config of a run.

    Raises:
      UserError: there is no run, or it reads no text.
    """
    settings = read_settings(workdir)
    if not settings.reads_text:
        raise UserError(f"--workdir: {workdir} reads no text; choose a run on lines of writing")
    return settings


def load_test_lines(settings: Settings, count: int) -> list[np.ndarray]:
    """The first lines of a run's test split (of all that there are, if it has fewer).

    Returns:
      uint8 (height, n) each, without padding.
    """
    return load_labelled_lines(settings, "test", count)[0]


def load_labelled_lines(
    settings: Settings, name: str, count: int
) -> tuple[list[np.ndarray], list[str]]:
    """The first lines of a split of a run, as `load_test_lines`, and their texts."""
    lines = dataclasses.replace(settings.lines, test_lines=count)
    dataset = load_dataset(dataclasses.replace(settings, lines=lines), say)
    split, alphabet = dataset.split(name), Alphabet(dataset.class_names)
    assert not isinstance(split, StreamedSplit)  # Lines are not.
    take, arrays = jax.jit(split.take), jax.device_put(split.arrays)
    found: list[np.ndarray] = []
    texts: list[str] = []
    for indices, mask in padded_indices(min(count, len(split)), _BATCH_SIZE):
        batch = jax.device_get(take(arrays, indices))
        for line, length in zip(batch["inputs"][mask], batch["lengths"][mask], strict=True):
            found.append(line[:, :length, 0])
        numbers = zip(batch["labels"][mask], batch["label_lengths"][mask], strict=True)
        texts += [alphabet.decode(label[:length]) for label, length in numbers]
    return found, texts
