"""Scores: all metrics of a set of predictions, with weights, so that it can be drawn again.

A row is what is predicted once: an example, a step of a clip, an example's label. `units` says to
which example each row belongs, since those of one example are drawn together.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from seqvision.errors import UserError
from seqvision.metrics import calibration, confusion
from seqvision.metrics.ranking import Ranking, mean_of

Values = dict[str, float | None]
LOWER_IS_BETTER = ("loss", "mae", "rmse")


def defined(values: Values) -> dict[str, float]:
    """Those that are."""
    return {name: value for name, value in values.items() if value is not None}


def score_of(values: Values, metric: str) -> float:
    """A metric, or its negative, as what is better the higher it is.

    Raises:
      UserError: it is undefined on the validation split.
    """
    value = values.get(metric)
    if value is None:
        raise UserError(
            f"config.checkpoint.best_metric: {metric} is undefined where no example is of a class,"
            " or all are; provide another validation split, or choose another metric, such as loss"
        )
    return -value if metric in LOWER_IS_BETTER else value


@runtime_checkable
class Scores(Protocol):
    """What was predicted beside what is true.

    Attributes:
      count: how many rows are known.
      units: int (count,).
      is_calibrated: whether it has probabilities, which a temperature can change.
    """

    @property
    def count(self) -> int: ...

    @property
    def units(self) -> np.ndarray: ...

    @property
    def is_calibrated(self) -> bool: ...

    def values(self, weights: np.ndarray | None = None) -> Values:
        """The metrics by name; None where one is undefined. `weights`: (count,), of the rows."""

    def details(self, specificity: float) -> dict[str, Any]:
        """More than one number: of each class, the confusion matrix."""

    def fit_temperature(self) -> float:
        """See `calibration`."""

    def tempered(self, temperature: float) -> "Scores":
        """The same at a temperature."""


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """Classes, one for each row.

    Attributes:
      names: of the K classes.
      targets: int (M,), all known.
      probabilities: float (M, K).
      units: int (M,).
    """

    names: tuple[str, ...]
    targets: np.ndarray
    probabilities: np.ndarray
    units: np.ndarray
    is_calibrated = True

    @property
    def count(self) -> int:
        return len(self.targets)

    def values(self, weights: np.ndarray | None = None) -> Values:
        if not self.count:
            return {}
        matrix = self._matrix(weights)
        chosen = np.take_along_axis(self.probabilities, self.targets[:, None], axis=1)[:, 0]
        losses = -np.log(np.maximum(chosen.astype(np.float64), np.finfo(np.float32).tiny))
        right = self._chosen == self.targets
        rankings = [self._ranking(label, weights) for label in range(len(self.names))]
        return {
            "loss": float(np.average(losses, weights=weights)),
            "accuracy": confusion.accuracy(matrix),
            "balanced_accuracy": confusion.balanced_accuracy(matrix),
            "f1": confusion.macro_f1(matrix),
            "auc": mean_of(ranking.auc() for ranking in rankings),
            "map": mean_of(ranking.average_precision() for ranking in rankings),
            "ece": calibration.expected_calibration_error(
                self.probabilities.max(axis=1), right, weights
            ),
        }

    def details(self, specificity: float) -> dict[str, Any]:
        matrix = self._matrix()
        per_class = _per_class(self.names, self._ranking, specificity)
        for name, f1 in zip(self.names, confusion.f1_of_classes(matrix), strict=True):
            per_class[name]["f1"] = None if np.isnan(f1) else float(f1)
        return {"classes": per_class, "confusion_matrix": matrix.astype(int).tolist()}

    def fit_temperature(self) -> float:
        return calibration.fit_classes(self.targets, self.probabilities)

    def tempered(self, temperature: float) -> "ClassScores":
        tempered = calibration.tempered_classes(self.probabilities, temperature)
        return dataclasses.replace(self, probabilities=tempered)

    @property
    def _chosen(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1)

    def _matrix(self, weights: np.ndarray | None = None) -> np.ndarray:
        return confusion.confusion_matrix(self.targets, self._chosen, len(self.names), weights)

    def _ranking(self, label: int, weights: np.ndarray | None = None) -> Ranking:
        return Ranking.of(self.targets == label, self.probabilities[:, label], weights)


@dataclasses.dataclass(frozen=True)
class LabelScores:
    """Several labels for each example, of which some may be unknown.

    Attributes:
      names: of the K labels.
      labels: int (M,), which label each row is of.
      targets: int (M,), 0 or 1.
      probabilities: float (M,).
      units: int (M,).
    """

    names: tuple[str, ...]
    labels: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray
    units: np.ndarray
    is_calibrated = True

    @property
    def count(self) -> int:
        return len(self.targets)

    def values(self, weights: np.ndarray | None = None) -> Values:
        if not self.count:
            return {}
        matrices = [self._matrix(label, weights) for label in range(len(self.names))]
        known = [matrix for matrix in matrices if matrix.sum() > 0]
        f1s = [float(confusion.f1_of_classes(matrix)[1]) for matrix in known]
        of_target = np.where(self.targets == 1, self.probabilities, 1 - self.probabilities)
        losses = -np.log(np.maximum(of_target.astype(np.float64), np.finfo(np.float32).tiny))
        rankings = [self._ranking(label, weights) for label in range(len(self.names))]
        return {
            "loss": float(np.average(losses, weights=weights)),
            "accuracy": float(np.average(self._chosen == self.targets, weights=weights)),
            "balanced_accuracy": mean_of(confusion.balanced_accuracy(one) for one in known),
            "f1": mean_of(f1 for f1 in f1s if not np.isnan(f1)),
            "auc": mean_of(ranking.auc() for ranking in rankings),
            "map": mean_of(ranking.average_precision() for ranking in rankings),
            "ece": calibration.expected_calibration_error(
                self.probabilities, self.targets == 1, weights
            ),
        }

    def details(self, specificity: float) -> dict[str, Any]:
        per_class = _per_class(self.names, self._ranking, specificity)
        for label, name in enumerate(self.names):
            matrix = self._matrix(label)
            f1 = confusion.f1_of_classes(matrix)[1]
            per_class[name]["f1"] = None if np.isnan(f1) else float(f1)
            per_class[name]["confusion_matrix"] = matrix.astype(int).tolist()
        return {"classes": per_class}

    def fit_temperature(self) -> float:
        return calibration.fit_labels(self.targets, self.probabilities)

    def tempered(self, temperature: float) -> "LabelScores":
        tempered = calibration.tempered_labels(self.probabilities, temperature)
        return dataclasses.replace(self, probabilities=tempered)

    @property
    def _chosen(self) -> np.ndarray:
        return (self.probabilities >= 0.5).astype(np.int64)

    def _matrix(self, label: int, weights: np.ndarray | None = None) -> np.ndarray:
        own = self.labels == label
        some = None if weights is None else weights[own]
        return confusion.confusion_matrix(self.targets[own], self._chosen[own], 2, some)

    def _ranking(self, label: int, weights: np.ndarray | None = None) -> Ranking:
        own = self.labels == label
        some = None if weights is None else weights[own]
        return Ranking.of(self.targets[own] == 1, self.probabilities[own], some)


@dataclasses.dataclass(frozen=True)
class NumberScores:
    """A number for each example.

    Attributes:
      targets, predictions: float64 (M,), in the units of the data; all known.
      units: int (M,).
      scale: the standard deviation of the training numbers: the loss is measured in it.
    """

    targets: np.ndarray
    predictions: np.ndarray
    units: np.ndarray
    scale: float = 1.0
    is_calibrated = False

    @property
    def count(self) -> int:
        return len(self.targets)

    def values(self, weights: np.ndarray | None = None) -> Values:
        if not self.count:
            return {}
        errors = self.predictions - self.targets
        squared = float(np.average(errors**2, weights=weights))
        mean = np.average(self.targets, weights=weights)
        variance = float(np.average((self.targets - mean) ** 2, weights=weights))
        return {
            "loss": squared / self.scale**2,
            "mae": float(np.average(np.abs(errors), weights=weights)),
            "rmse": squared**0.5,
            "r2": 1 - squared / variance if variance > 0 else None,
        }

    def details(self, specificity: float) -> dict[str, Any]:
        return {}

    def fit_temperature(self) -> float:
        raise NotImplementedError("numbers have no probabilities")

    def tempered(self, temperature: float) -> "NumberScores":
        raise NotImplementedError("numbers have no probabilities")


def _per_class(
    names: tuple[str, ...], ranking_of: Callable[[int], Ranking], specificity: float
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for label, name in enumerate(names):
        ranking = ranking_of(label)
        found[name] = {
            "count": int(ranking.positive.sum()),
            "auc": ranking.auc(),
            "average_precision": ranking.average_precision(),
            "sensitivity": ranking.sensitivity_at(specificity),
        }
    return found
