"""Classification of images and clips."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import numpy as np
from jax import Array
from jax.sharding import Mesh

from seqvision.data.dataset import Split
from seqvision.data.preprocessing import Windows
from seqvision.metrics.scores import ClassScores
from seqvision.models import create_model
from seqvision.shapes import Logits, Mask, PerExample, StepLogits
from seqvision.tasks.base import Evaluation, Keep, Take, Task
from seqvision.tasks.classification_metrics import ClassificationMetrics, ClassSums
from seqvision.tasks.classification_steps import BatchOutput, make_eval_step, make_predict_step
from seqvision.tasks.losses import cross_entropy, last_step, step_cross_entropy
from seqvision.tasks.predictions import (
    Prediction,
    calibrated,
    prediction_row,
    window_predictions,
)
from seqvision.tasks.split_results import split_results
from seqvision.tasks.target_losses import ClassWeights, weights_of

Examples = Sequence[tuple[Prediction, int]]


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """One label for each image or clip.

    Attributes:
      class_names: of the K classes.
      label_smoothing, step_weight: see `losses.step_cross_entropy`.
      windows: how clips are cut; None where the network reads them whole.
      per_step: whether the network classifies after every step.
      class_weights: (K,), of the loss of each class in training; None for all alike.
      metric: what weights are compared by; accuracy, a metric of `metrics.scores`, or loss.
    """

    class_names: tuple[str, ...]
    label_smoothing: float = 0.0
    step_weight: float = 0.0
    windows: Windows | None = None
    per_step: bool = False
    class_weights: ClassWeights | None = None
    metric: str = "accuracy"

    outputs: ClassVar[str] = "classes"

    def create_model(self, **fields: Any) -> nn.Module:
        return create_model(num_classes=len(self.class_names), **fields)

    def zeros(self) -> ClassSums:
        return ClassSums.zeros(len(self.class_names))

    def losses(self, logits: Logits | StepLogits, batch: dict[str, Array]) -> PerExample:
        labels = batch["labels"]
        if logits.ndim == 3:
            losses = step_cross_entropy(
                logits, labels, batch.get("lengths"), self.step_weight, self.label_smoothing
            )
        else:
            losses = cross_entropy(logits, labels, self.label_smoothing)
        if self.class_weights is None:
            return losses
        return losses * weights_of(labels, self.class_weights)

    def sums(
        self,
        logits: Logits | StepLogits,
        batch: dict[str, Array],
        losses: PerExample,
        mask: Mask,
    ) -> ClassSums:
        # Without smoothing, and of the last step alone: these losses say how good the network is.
        last, labels = last_step(logits, batch.get("lengths")), batch["labels"]
        return ClassSums.of(last, cross_entropy(last, labels), labels, mask)

    def row(self, sums: ClassSums) -> dict[str, float]:
        return ClassificationMetrics.of(sums).row()

    def create_predict_step(self, model: nn.Module, mesh: Mesh) -> Callable[..., BatchOutput]:
        return make_predict_step(model, mesh, self.windows)

    def predictions(
        self, outputs: BatchOutput, lengths: np.ndarray | None, count: int
    ) -> Iterator[Prediction]:
        for index in range(count):
            probabilities = outputs.probabilities[index]
            prediction = Prediction(
                classes=int(probabilities.argmax()), probabilities=probabilities
            )
            if lengths is not None:
                length = int(lengths[index])
                windows = window_predictions(outputs, index, length, self.windows)
                prediction["windows"] = list(windows)
            elif outputs.steps is not None:
                prediction["steps"] = outputs.steps[index, 0]
            yield prediction

    def prediction_row(self, prediction: Prediction | None) -> dict[str, Any]:
        return prediction_row(prediction, self.class_names)

    def create_evaluation(
        self, model: nn.Module, mesh: Mesh, take: Take, batch_size: int
    ) -> Evaluation:
        @functools.cache
        def step(streamed: bool, with_outputs: bool) -> Any:
            return make_eval_step(
                model, mesh, take, self, self.windows, streamed=streamed, with_outputs=with_outputs
            )

        def evaluate(params: Any, split: Split, keep: Keep | None = None) -> ClassificationMetrics:
            if self.metric in ("accuracy", "loss"):
                return dataclasses.replace(summed(params, split, keep), metric=self.metric)
            examples: list[tuple[Prediction, int]] = []

            def keep_all(prediction: Prediction, label: int) -> None:
                examples.append((prediction, label))
                if keep is not None:
                    keep(prediction, label)

            metrics = summed(params, split, keep_all)
            values = self.scores(examples).values()
            return dataclasses.replace(metrics, metric=self.metric, values=values)

        def summed(params: Any, split: Split, keep: Keep | None) -> ClassificationMetrics:
            eval_step = step(split.is_streamed, keep is not None)
            sums: list[ClassSums] = []
            given = eval_step, params, split, batch_size, mesh
            for (batch_sums, outputs), count in split_results(*given):
                sums.append(batch_sums)
                if keep is not None:
                    output, lengths, labels = outputs
                    found = self.predictions(output, lengths, count)
                    for prediction, label in zip(found, labels[:count].tolist(), strict=True):
                        keep(prediction, label)
            return ClassificationMetrics.of(*sums)

        return evaluate

    def needs_predictions(self) -> bool:
        return self.per_step or self.windows is not None

    def report(self, metrics: ClassificationMetrics, examples: Examples) -> Iterator[str]:
        """Accuracy, loss, count and the accuracy of each class, of windows, and after each step."""
        yield f"accuracy  {metrics.accuracy:.2%}"
        yield f"loss      {metrics.loss:.4f}"
        yield f"count     {metrics.count}"
        yield "accuracy per class"
        width = max(len(name) for name in self.class_names)
        for name, accuracy in zip(self.class_names, metrics.class_accuracy, strict=True):
            text = "no examples" if accuracy is None else f"{accuracy:.2%}"
            yield f"  {name:<{width}}  {text:>7}"
        yield from _window_accuracy(examples)
        if self.per_step:
            yield from _step_accuracy(examples)

    def truth(self, label: int) -> str:
        return self.class_names[label]

    def scores(self, examples: Examples) -> ClassScores:
        targets = np.array([label for _, label in examples], np.int64)
        probabilities = np.array([prediction["probabilities"] for prediction, _ in examples])
        return ClassScores(self.class_names, targets, probabilities, np.arange(len(examples)))

    def calibrated(self, prediction: Prediction, temperature: float) -> Prediction:
        return calibrated(prediction, temperature)


def _window_accuracy(examples: Examples) -> Iterator[str]:
    """Accuracy of the windows, where clips have more than one."""
    correct = [
        window["classes"] == label
        for prediction, label in examples
        for window in prediction.get("windows", [])
    ]
    if len(correct) > len(examples):
        yield f"accuracy per window  {np.mean(correct):.2%} of {len(correct)}"


def _step_accuracy(examples: Examples) -> Iterator[str]:
    correct: dict[int, list[bool]] = {}
    for prediction, label in examples:
        parts = [prediction] if "steps" in prediction else prediction["windows"]
        for part in parts:
            for step, classes in enumerate(part["steps"].argmax(axis=-1)):
                correct.setdefault(step + 1, []).append(classes == label)
    yield "accuracy after each step"
    for step, hits in correct.items():
        yield f"  {step:>4}  {np.mean(hits):>7.2%} of {len(hits)}"
