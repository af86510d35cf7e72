"""A class for every frame of a clip."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict

import jax.numpy as jnp
import numpy as np
from jax import Array

from seqvision.data.targets import UNKNOWN
from seqvision.metrics.calibration import tempered_classes
from seqvision.metrics.numerics import softmax
from seqvision.metrics.scores import ClassScores
from seqvision.shapes import Mask, PerExample, StepLogits
from seqvision.tasks.classification_metrics import ClassificationMetrics, ClassSums
from seqvision.tasks.predictions import rounded
from seqvision.tasks.scored import ScoredTask, WindowPart
from seqvision.tasks.target_losses import (
    ClassWeights,
    last_known,
    masked_mean,
    step_losses,
    weights_of,
)


class StepPrediction(TypedDict):
    """The prediction for each of the t frames of a clip.

    `classes`: int (t,), the most probable of each. `probabilities`: float64 (t, K); where windows
    overlap, the mean of theirs; NaN, and `classes` UNKNOWN, for frames between windows.
    """

    classes: np.ndarray
    probabilities: np.ndarray


@dataclasses.dataclass(frozen=True)
class StepClassification(ScoredTask):
    """A class for every frame; those that are unknown count nowhere.

    Attributes:
      label_smoothing: see `losses.cross_entropy`.
      only_last: learns only the last known frame of each clip.
      class_weights: (K,), of the loss of each class in training; None for all alike.
      Others: see `ScoredTask`.
    """

    label_smoothing: float = 0.0
    only_last: bool = False
    class_weights: ClassWeights | None = None

    outputs: ClassVar[str] = "classes for each frame"
    labels_steps: ClassVar[bool] = True
    value_name: ClassVar[str] = "accuracy"

    def zeros(self) -> ClassSums:
        return ClassSums.zeros(len(self.class_names))

    def losses(self, logits: StepLogits, batch: dict[str, Array]) -> PerExample:
        labels = batch["labels"]
        each = step_losses(logits, labels, self.label_smoothing)
        if self.class_weights is not None:
            each = each * weights_of(labels, self.class_weights)
        return masked_mean(each, self._learnt(labels))

    def num_targets(self, batch: dict[str, Array]) -> PerExample:
        return self._learnt(batch["labels"]).sum(axis=1).astype(jnp.float32)

    def _learnt(self, labels: Array) -> Array:
        known = labels != UNKNOWN
        return last_known(known) if self.only_last else known

    def known_losses(self, logits: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        labels = batch["labels"]
        right = (logits.argmax(axis=-1) == labels).astype(jnp.float32)
        return step_losses(logits, labels), right, labels != UNKNOWN

    def sums(
        self, logits: StepLogits, batch: dict[str, Array], losses: PerExample, mask: Mask
    ) -> ClassSums:
        # Without smoothing and weights: these losses say how good the network is.
        each, _, known = self.known_losses(logits, batch)
        counted = (known & mask[:, None]).reshape(-1)
        flat = logits.reshape(-1, logits.shape[-1])
        return ClassSums.of(flat, each.reshape(-1), batch["labels"].reshape(-1), counted)

    def row(self, sums: ClassSums) -> dict[str, float]:
        if not np.sum(sums.count):  # All frames of the last batches were unknown.
            return {"loss": float("nan"), "accuracy": float("nan"), "count": 0}
        return ClassificationMetrics.of(sums).row()

    def prediction(self, parts: list[WindowPart], of_clip: bool) -> StepPrediction:
        total = np.zeros((parts[-1].stop, len(self.class_names)))
        counts = np.zeros((parts[-1].stop, 1))
        for part in parts:
            assert part.steps is not None
            total[part.start : part.stop] += softmax(part.steps)
            counts[part.start : part.stop] += 1
        read = counts[:, 0] > 0
        probabilities = np.where(read[:, None], total / np.maximum(counts, 1), np.nan)
        classes = np.where(read, total.argmax(axis=1), UNKNOWN)
        return StepPrediction(classes=classes, probabilities=probabilities)

    def prediction_row(self, prediction: StepPrediction | None) -> dict[str, Any]:
        if prediction is None:
            return {"classes": None, "label": None, "probabilities": None}
        classes = prediction["classes"].tolist()
        rows = [
            None if label == UNKNOWN else rounded(row)
            for label, row in zip(classes, prediction["probabilities"], strict=True)
        ]
        names = [self._name(label) for label in classes]
        return {"classes": classes, "label": names, "probabilities": rows}

    def scores(self, examples: Sequence[tuple[StepPrediction, Any]]) -> ClassScores:
        targets, probabilities, units = [], [], []
        for unit, (prediction, label) in enumerate(examples):
            labels = np.asarray(label)
            counted = (labels != UNKNOWN) & (prediction["classes"] != UNKNOWN)
            targets.append(labels[counted])
            probabilities.append(prediction["probabilities"][counted])
            units.append(np.full(counted.sum(), unit))
        return ClassScores(
            self.class_names,
            np.concatenate(targets).astype(np.int64),
            np.concatenate(probabilities),
            np.concatenate(units),
        )

    def calibrated(self, prediction: StepPrediction, temperature: float) -> StepPrediction:
        tempered = tempered_classes(prediction["probabilities"], temperature)
        return StepPrediction(classes=prediction["classes"], probabilities=tempered)

    def own_label(self, label: Any, prediction: StepPrediction) -> Any:
        return label[: len(prediction["classes"])]

    def truth(self, label: Any) -> list[str | None]:
        """The class of each frame, None where it is unknown."""
        return [self._name(int(one)) for one in label]

    def _name(self, label: int) -> str | None:
        return None if label == UNKNOWN else self.class_names[label]
