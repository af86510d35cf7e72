"""Balance of classes: weights of the loss, and draws of training examples."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from seqvision.data.batching import example_indices
from seqvision.data.dataset import ArraySplit, Split, StreamedSplit
from seqvision.data.features.feature_split import FeatureSplit, StoredFeatures
from seqvision.data.sources.examples import ExampleSource
from seqvision.data.targets import Targets, known
from seqvision.errors import UserError
from seqvision.shapes import Indices

Draws = Callable[[int, int, int], Indices]
"""`draws(seed, start, count)`: examples `start` to `start + count` of an endless sequence."""

_ROUNDS = 4096


def train_labels(split: Split, field: str) -> np.ndarray:
    """The labels of all examples.

    Args:
      split: the training split.
      field: that needs them, for errors.

    Raises:
      UserError: they are known only once the examples are read.
    """
    if isinstance(split, ArraySplit):
        return split.labels
    if isinstance(split, FeatureSplit):
        return np.asarray(split.arrays["labels"])
    if isinstance(split, StreamedSplit) and isinstance(split.source, StoredFeatures):
        return split.source.others["labels"][split.numbers]
    if isinstance(split, StreamedSplit) and isinstance(split.source, ExampleSource):
        source = split.source
        return source.form.labels([source.examples[number] for number in split.numbers])
    raise UserError(
        f"{field}: the classes of these {len(split)} streamed examples are not known before they"
        " are read; raise config.data.resident_bytes, or leave it out"
    )


def class_weights(labels: np.ndarray, targets: Targets, num_classes: int) -> Any:
    """Weights that are the inverse of how often a class occurs, so that each counts as much.

    As scikit-learn's `balanced`: known targets / (classes * those of the class).

    Args:
      labels: of training, see `targets.Targets`.
      targets: what they are: classes, of examples or steps, or several labels at once.
      num_classes: K.

    Returns:
      (K,); of several labels two of them, for labels that are 0 and that are 1: 1 where all known
      ones are alike.
    """
    if targets.kind == "labels":
        counts = np.stack([(labels == value).sum(axis=0) for value in (0, 1)]).astype(np.float64)
        weights = counts.sum(axis=0) / (2 * np.maximum(counts, 1))
        weights = np.where((counts > 0).all(axis=0), weights, 1.0)
        return tuple(tuple(row) for row in weights.tolist())
    found = np.bincount(labels[known(labels)], minlength=num_classes).astype(np.float64)
    return tuple((found.sum() / (num_classes * np.maximum(found, 1))).tolist())


def balanced_draws(labels: np.ndarray, num_classes: int) -> Draws:
    """Draws in rounds: each has one example of every class, the classes in random order.

    The examples of a class come in shuffled epochs of their own, so that each is drawn as often as
    any other of its class. It is a function of seed and number alone, so that a run resumes.

    Args:
      labels: (N,), 0 to K - 1; every class has an example.
      num_classes: K.
    """
    members = [np.flatnonzero(labels == label).astype(np.int32) for label in range(num_classes)]

    def draws(seed: int, start: int, count: int) -> Indices:
        first, last = start // num_classes, -(-(start + count) // num_classes)
        order = np.concatenate(
            [
                _orders(seed, block, num_classes)
                for block in range(first // _ROUNDS, (last - 1) // _ROUNDS + 1)
            ]
        )[first % _ROUNDS :][: last - first]
        drawn = np.empty((last - first, num_classes), np.int32)
        for label, own in enumerate(members):
            chosen = example_indices(seed, len(own), first, last - first, label + 1)
            drawn[:, label] = own[chosen]
        table = np.take_along_axis(drawn, order, axis=1).reshape(-1)
        return table[start - first * num_classes :][:count]

    return draws


@functools.lru_cache(maxsize=16)
def _orders(seed: int, block: int, num_classes: int) -> np.ndarray:
    """The order of the classes in each of `_ROUNDS` rounds, (_ROUNDS, K)."""
    rng = np.random.default_rng([seed, block, 0, num_classes])
    return rng.permuted(np.tile(np.arange(num_classes), (_ROUNDS, 1)), axis=1)
