"""One number for each image or clip."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NotRequired, TypedDict

import jax.numpy as jnp
import numpy as np
from jax import Array

from seqvision.metrics.scores import NumberScores
from seqvision.shapes import Logits, PerExample, StepLogits
from seqvision.tasks.losses import last_step
from seqvision.tasks.scored import ScoredTask, WindowPart
from seqvision.tasks.target_losses import over_steps, squared_errors


class NumberWindow(TypedDict):
    """The same for one window of a clip; `frames`: its first one and the one after its last."""

    frames: tuple[int, int]
    value: float
    steps: NotRequired[np.ndarray]


class NumberPrediction(TypedDict):
    """The prediction for one image or clip.

    `value`: in the units of the data; of a clip, the mean over its windows. `windows`: of clips.
    `steps`: of images read by a network with the readout `per_step`, float64 (T,).
    """

    value: float
    windows: NotRequired[list[NumberWindow]]
    steps: NotRequired[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Regression(ScoredTask):
    """A number; the loss is the squared error in standard deviations of the training numbers.

    Attributes:
      offset, scale: see `data.targets.Targets`.
      step_weight: see `losses.step_cross_entropy`.
      Others: see `ScoredTask`.
    """

    offset: float = 0.0
    scale: float = 1.0
    step_weight: float = 0.0

    outputs: ClassVar[str] = "a number"
    value_name: ClassVar[str] = "mae"

    def losses(self, logits: Logits | StepLogits, batch: dict[str, Array]) -> PerExample:
        numbers = batch["labels"]

        def loss_of(outputs: Logits) -> PerExample:
            return squared_errors(outputs, numbers, self.offset, self.scale)

        return over_steps(logits, batch.get("lengths"), self.step_weight, loss_of)

    def num_targets(self, batch: dict[str, Array]) -> PerExample:
        return jnp.isfinite(batch["labels"]).astype(jnp.float32)

    def known_losses(self, logits: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        numbers = batch["labels"]
        last = last_step(logits, batch.get("lengths"))
        losses = squared_errors(last, numbers, self.offset, self.scale)
        return losses, jnp.sqrt(losses) * self.scale, jnp.isfinite(numbers)

    def prediction(self, parts: list[WindowPart], of_clip: bool) -> NumberPrediction:
        windows = []
        for part in parts:
            value = self._in_units(part.last[0])
            window = NumberWindow(frames=(part.start, part.stop), value=float(value))
            if part.steps is not None:
                window["steps"] = self._in_units(part.steps[:, 0])
            windows.append(window)
        prediction = NumberPrediction(value=float(np.mean([one["value"] for one in windows])))
        if of_clip:
            prediction["windows"] = windows
        elif "steps" in windows[0]:
            prediction["steps"] = windows[0]["steps"]
        return prediction

    def _in_units(self, outputs: Any) -> Any:
        return self.offset + self.scale * np.asarray(outputs, np.float64)

    def prediction_row(self, prediction: NumberPrediction | None) -> dict[str, Any]:
        if prediction is None:
            return {"value": None}
        row: dict[str, Any] = {"value": _short(prediction["value"])}
        if "steps" in prediction:
            row["steps"] = list(map(_short, prediction["steps"]))
        if "windows" in prediction:
            row["windows"] = [
                {"frames": list(window["frames"]), **self.prediction_row(_of_window(window))}
                for window in prediction["windows"]
            ]
        return row

    def scores(self, examples: Sequence[tuple[NumberPrediction, Any]]) -> NumberScores:
        numbers = np.array([label for _, label in examples], np.float64)
        values = np.array([prediction["value"] for prediction, _ in examples])
        units = np.flatnonzero(np.isfinite(numbers))
        return NumberScores(numbers[units], values[units], units, self.scale)

    def truth(self, label: Any) -> float | None:
        """None where it is unknown."""
        return _short(label) if math.isfinite(label) else None


def _of_window(window: NumberWindow) -> NumberPrediction:
    own = NumberPrediction(value=window["value"])
    return own | {"steps": window["steps"]} if "steps" in window else own


def _short(value: Any) -> float:
    """Six significant digits: more than a float32 network has to say."""
    return float(f"{float(value):.6g}")
