"""Sums and counts over examples, divided once at the end.

Sums can be added over batches, devices and restarts, so every example counts exactly once
whatever the batch size.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqvision.metrics.scores import Values, defined, score_of
from seqvision.shapes import Labels, Logits, Mask, PerExample


@struct.dataclass
class ClassSums:
    """What a set of examples adds up to, on the device; one entry per class.

    Attributes:
      loss: float32 (K,).
      correct, count: int32 (K,).
    """

    # No array types: jax also fills a state with shapes or with shardings.
    loss: Any
    correct: Any
    count: Any

    @classmethod
    def zeros(cls, num_classes: int) -> "ClassSums":
        return cls(
            loss=jnp.zeros(num_classes, jnp.float32),
            correct=jnp.zeros(num_classes, jnp.int32),
            count=jnp.zeros(num_classes, jnp.int32),
        )

    @classmethod
    def of(cls, logits: Logits, losses: PerExample, labels: Labels, mask: Mask) -> "ClassSums":
        """Adds up the examples whose `mask` is True, each under its label."""
        num_classes = logits.shape[-1]
        member = jax.nn.one_hot(labels, num_classes, dtype=jnp.bool_) & mask[:, None]
        correct = jnp.argmax(logits, axis=-1) == labels
        return cls(
            loss=jnp.where(member, losses[:, None], 0.0).sum(axis=0),
            correct=(member & correct[:, None]).sum(axis=0, dtype=jnp.int32),
            count=member.sum(axis=0, dtype=jnp.int32),
        )

    def __add__(self, other: "ClassSums") -> "ClassSums":
        return jax.tree.map(jnp.add, self, other)


@dataclasses.dataclass(frozen=True)
class ClassificationMetrics:
    """Mean loss (nats), accuracy (0 to 1) and the number of examples they are means of."""

    loss: float
    accuracy: float
    count: int
    class_accuracy: tuple[float | None, ...]
    """Accuracy within each class; None where the class has no example."""
    metric: str = "accuracy"
    """What weights are compared by."""
    values: Values | None = None
    """Other metrics, where `metric` is one of them; see `metrics.scores`."""

    @classmethod
    def of(cls, *sums: ClassSums) -> "ClassificationMetrics":
        """Means over all examples in `sums`, added in float64."""
        parts = [(part.loss, part.correct, part.count) for part in sums]
        loss, correct, count = np.sum(np.array(parts, np.float64), axis=0)
        total = count.sum()
        return cls(
            loss=float(loss.sum() / total),
            accuracy=float(correct.sum() / total),
            count=int(total),
            class_accuracy=tuple(
                float(c / n) if n else None for c, n in zip(correct, count, strict=True)
            ),
        )

    @property
    def score(self) -> float:
        """What decides which weights are the best: the higher the better."""
        if self.values is None:
            return -self.loss if self.metric == "loss" else self.accuracy
        return score_of(self.values, self.metric)

    def row(self) -> dict[str, float]:
        """What is recorded."""
        row = {"loss": self.loss, "accuracy": self.accuracy, "count": self.count}
        return row if self.values is None else defined(self.values) | row
