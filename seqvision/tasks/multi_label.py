"""Several labels at once: each image or clip has any of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NotRequired, TypedDict

import jax.numpy as jnp
import numpy as np
from jax import Array

from seqvision.data.targets import UNKNOWN
from seqvision.metrics.calibration import tempered_labels
from seqvision.metrics.numerics import sigmoid
from seqvision.metrics.scores import LabelScores
from seqvision.shapes import Logits, PerExample, StepLogits
from seqvision.tasks.losses import last_step
from seqvision.tasks.predictions import rounded
from seqvision.tasks.scored import ScoredTask, WindowPart
from seqvision.tasks.target_losses import label_losses, masked_mean, over_steps


class LabelWindow(TypedDict):
    """The same for one window of a clip; `frames`: its first one and the one after its last."""

    frames: tuple[int, int]
    probabilities: np.ndarray
    steps: NotRequired[np.ndarray]


class LabelPrediction(TypedDict):
    """The prediction for one image or clip.

    `probabilities`: float64 (K,), of each label by itself; of a clip, the mean over its windows.
    `windows`: of clips. `steps`: of images read by a network with the readout `per_step`, (T, K).
    """

    probabilities: np.ndarray
    windows: NotRequired[list[LabelWindow]]
    steps: NotRequired[np.ndarray]


@dataclasses.dataclass(frozen=True)
class MultiLabel(ScoredTask):
    """Each of K labels or not; those that are unknown count nowhere.

    Attributes:
      step_weight: see `losses.step_cross_entropy`.
      class_weights: ((K,), (K,)), of the loss of each label where it is 0 and where it is 1; None
        for all alike.
      Others: see `ScoredTask`.
    """

    step_weight: float = 0.0
    class_weights: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    outputs: ClassVar[str] = "labels, any of them at once"
    value_name: ClassVar[str] = "accuracy"

    def losses(self, logits: Logits | StepLogits, batch: dict[str, Array]) -> PerExample:
        labels = batch["labels"]

        def loss_of(logits: Logits) -> PerExample:
            each = label_losses(logits, labels)
            if self.class_weights is not None:
                negative, positive = (jnp.asarray(w, jnp.float32)[None] for w in self.class_weights)
                each = each * jnp.where(labels == 1, positive, negative)
            return masked_mean(each, labels != UNKNOWN)

        return over_steps(logits, batch.get("lengths"), self.step_weight, loss_of)

    def num_targets(self, batch: dict[str, Array]) -> PerExample:
        return (batch["labels"] != UNKNOWN).sum(axis=1).astype(jnp.float32)

    def known_losses(self, logits: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        last, labels = last_step(logits, batch.get("lengths")), batch["labels"]
        right = ((last >= 0) == (labels == 1)).astype(jnp.float32)
        return label_losses(last, labels), right, labels != UNKNOWN

    def prediction(self, parts: list[WindowPart], of_clip: bool) -> LabelPrediction:
        windows = []
        for part in parts:
            window = LabelWindow(frames=(part.start, part.stop), probabilities=sigmoid(part.last))
            if part.steps is not None:
                window["steps"] = sigmoid(part.steps)
            windows.append(window)
        mean = np.mean([window["probabilities"] for window in windows], axis=0)
        prediction = LabelPrediction(probabilities=mean)
        if of_clip:
            prediction["windows"] = windows
        elif "steps" in windows[0]:
            prediction["steps"] = windows[0]["steps"]
        return prediction

    def prediction_row(self, prediction: LabelPrediction | None) -> dict[str, Any]:
        if prediction is None:
            return {"classes": None, "label": None, "probabilities": None}
        row = self._row(prediction)
        if "windows" in prediction:
            row["windows"] = [
                {"frames": list(window["frames"]), **self._row(window)}
                for window in prediction["windows"]
            ]
        return row

    def _row(self, prediction: LabelPrediction | LabelWindow) -> dict[str, Any]:
        chosen = np.flatnonzero(prediction["probabilities"] >= 0.5).tolist()
        row = {
            "classes": chosen,
            "label": [self.class_names[label] for label in chosen],
            "probabilities": rounded(prediction["probabilities"]),
        }
        return row | ({"steps": rounded(prediction["steps"])} if "steps" in prediction else {})

    def scores(self, examples: Sequence[tuple[LabelPrediction, Any]]) -> LabelScores:
        targets = np.array([label for _, label in examples])
        probabilities = np.array([prediction["probabilities"] for prediction, _ in examples])
        units, labels = np.nonzero(targets != UNKNOWN)
        return LabelScores(
            self.class_names, labels, targets[units, labels], probabilities[units, labels], units
        )

    def calibrated(self, prediction: LabelPrediction, temperature: float) -> LabelPrediction:
        changed: Any = dict(prediction)
        for name in ("probabilities", "steps"):
            if name in changed:
                changed[name] = tempered_labels(changed[name], temperature)
        if "windows" in changed:
            changed["windows"] = [self.calibrated(w, temperature) for w in changed["windows"]]
        return changed

    def truth(self, label: Any) -> list[str]:
        """The labels that an example has."""
        return [name for name, one in zip(self.class_names, label, strict=True) if one == 1]

    def truth_fields(self, label: Any) -> dict[str, Any]:
        pairs = zip(self.class_names, label, strict=True)
        return {"truth": self.truth(label), "unknown": [n for n, one in pairs if one == UNKNOWN]}
