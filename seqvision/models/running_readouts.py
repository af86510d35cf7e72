"""Readouts after every step, written once for every array library.

`models.readouts.Readout` sums up a whole sequence. Here its value is kept step by step, with a
memory of fixed size. Each function takes the operations of a library, the memory before the step
and the step's output (B, H), and gives the features (B, H) after it and the memory.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

_LOWEST = float(np.finfo(np.float32).min)


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the memory.

    Attributes:
      name: of it.
      size: its length for each sequence; None for H.
      start: what all of it is before the first step.
    """

    name: str
    size: int | None
    start: float


def mean(ops: Any, memory: Any, output: Any, score: Any) -> Any:
    """The mean of the outputs so far."""
    total, count = memory
    total, count = total + output, count + 1.0
    return total * ops.reciprocal(count), (total, count)


def highest(ops: Any, memory: Any, output: Any, score: Any) -> Any:
    """The highest output so far, feature by feature."""
    (most,) = memory
    most = ops.maximum(most, output)
    return most, (most,)


def attention(ops: Any, memory: Any, output: Any, score: Any) -> Any:
    """The mean of the outputs so far, weighted with the softmax of their scores (B, 1).

    The highest score is taken off before exp, as always in a softmax; where a higher one comes,
    what was summed up so far shrinks (Milakov & Gimelshein, 2018, arXiv 1805.02867).
    """
    most, weights, total = memory
    new = ops.maximum(most, score)
    shrink, weight = ops.exp(most - new), ops.exp(score - new)
    weights, total = weights * shrink + weight, total * shrink + weight * output
    return total * ops.reciprocal(weights), (new, weights, total)


MEMORIES: dict[str, tuple[Part, ...]] = {
    "last": (),
    "per_step": (),
    "mean": (Part("sum", None, 0.0), Part("count", 1, 0.0)),
    "max": (Part("highest", None, _LOWEST),),
    "attention": (Part("score", 1, _LOWEST), Part("weights", 1, 0.0), Part("sum", None, 0.0)),
}
"""The memory of each readout, part by part."""

STEPS: dict[str, Callable[..., Any]] = {"mean": mean, "max": highest, "attention": attention}
"""`step(ops, memory, output, score) -> features, memory`; the others' features are the output."""
