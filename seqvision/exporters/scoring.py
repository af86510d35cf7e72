"""Answers of exported networks, and the metric of their task on a split."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from rapidfuzz.distance import Levenshtein

from seqvision.data.alphabet import Alphabet
from seqvision.decoding import greedy_decode
from seqvision.metrics.scores import LOWER_IS_BETTER
from seqvision.runs.saved_run import Run
from seqvision.tasks.regression import Regression
from seqvision.tasks.scored import ScoredTask, WindowPart

MOST_LOSS = 0.01
"""Of the metric, by 8 bits; of a number, and between two answers, in standard deviations."""


class Scoring(abc.ABC):
    """What the logits of a network say, and how good that is.

    Attributes:
      metric: its name.
      unit: what MOST_LOSS counts in.
    """

    metric: str
    unit: float = 1.0

    @abc.abstractmethod
    def answers(self, logits: np.ndarray, sizes: np.ndarray) -> list[Any]:
        """The answer to each example.

        Args:
          logits: (B, T, K), after every step; T is 1 where there is one answer for all.
          sizes: (B,), steps that are none of the padding.
        """

    @abc.abstractmethod
    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        """The metric; NaN where it is undefined."""

    def loss(self, score: float, reference: float) -> float:
        """How much worse a score is than another: negative where it is better."""
        is_lower_better = self.metric in (*LOWER_IS_BETTER, TextScoring.metric)
        return score - reference if is_lower_better else reference - score

    def differ(self, one: Any, other: Any) -> bool:
        return bool(one != other)

    def text(self, score: float) -> str:
        return f"{score:.2%}"


class ClassScoring(Scoring):
    """A class for each example, at its last step."""

    metric = "accuracy"

    def answers(self, logits: np.ndarray, sizes: np.ndarray) -> list[int]:
        return logits[np.arange(len(logits)), sizes - 1].argmax(axis=-1).tolist()

    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        pairs = zip(answers, labels, strict=True)
        return sum(int(answer == label) for answer, label in pairs) / len(labels)


class TextScoring(Scoring):
    """The symbols of each line."""

    metric = "cer"

    def __init__(self, alphabet: Alphabet) -> None:
        """Takes the symbols that the network reads."""
        self._alphabet = alphabet

    def answers(self, logits: np.ndarray, sizes: np.ndarray) -> list[list[int]]:
        decoded = jax.device_get(greedy_decode(jnp.asarray(logits), jnp.asarray(sizes)))
        rows = [
            row[:count] for row, count in zip(decoded.symbols, decoded.num_symbols, strict=True)
        ]
        return [row[self._alphabet.trimmed(row)].tolist() for row in rows]

    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        pairs = zip(answers, labels, strict=True)
        errors = sum(Levenshtein.distance(answer, label) for answer, label in pairs)
        return errors / max(sum(map(len, labels)), 1)


class TargetScoring(Scoring):
    """The predictions of other tasks, by the metric that weights are compared by."""

    _IN_UNITS: ClassVar = ("mae", "rmse", "loss")

    def __init__(self, task: ScoredTask) -> None:
        """Takes the task of a run."""
        self._task = task
        self.metric = task.metric
        if isinstance(task, Regression) and self.metric in ("mae", "rmse"):
            self.unit = task.scale

    def answers(self, logits: np.ndarray, sizes: np.ndarray) -> list[Any]:
        return [
            self._task.prediction([WindowPart(0, size, row[size - 1], row[:size])], of_clip=True)
            for row, size in zip(logits, sizes.tolist(), strict=True)
        ]

    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        examples = [
            (answer, self._task.own_label(label, answer))
            for answer, label in zip(answers, labels, strict=True)
        ]
        value = self._task.scores(examples).values().get(self.metric)
        return float("nan") if value is None else value

    def differ(self, one: Any, other: Any) -> bool:
        if isinstance(self._task, Regression):
            return abs(one["value"] - other["value"]) > MOST_LOSS * self._task.scale
        rows = self._task.prediction_row(one), self._task.prediction_row(other)
        return bool(rows[0]["classes"] != rows[1]["classes"])

    def text(self, score: float) -> str:
        return f"{score:.4g}" if self.metric in self._IN_UNITS else super().text(score)


def scoring_of(run: Run) -> Scoring:
    """That of a run's task."""
    if run.settings.reads_text:
        return TextScoring(Alphabet(run.data.class_names))
    if isinstance(run.task, ScoredTask):
        return TargetScoring(run.task)
    return ClassScoring()
