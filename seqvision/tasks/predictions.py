"""Predictions: classes and probabilities, or a text, for each example."""

from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

import numpy as np

from seqvision.data.preprocessing import Windows, frame_ranges
from seqvision.metrics.calibration import tempered_classes
from seqvision.tasks.classification_steps import BatchOutput


class WindowPrediction(TypedDict):
    """The prediction for one window of a clip.

    `frames`: its first frame and the one after its last. The others as in `Prediction`.
    """

    frames: tuple[int, int]
    classes: int
    probabilities: np.ndarray
    steps: NotRequired[np.ndarray]


class Prediction(TypedDict):
    """The prediction for one image or clip.

    `classes`: the most probable class, 0 to K - 1. `probabilities`: float32 (K,), sum 1; of a clip,
    the mean over its windows. `windows`: of clips, window by window. `steps`: of images read by a
    network with the readout `per_step`, the probabilities after every step, (T, K); of clips they
    are in `windows`.
    """

    classes: int
    probabilities: np.ndarray
    windows: NotRequired[list[WindowPrediction]]
    steps: NotRequired[np.ndarray]


class Transcription(TypedDict):
    """The text of a line.

    `text`: its N symbols, as they are typed. `confidences`: float32 (N,), the highest probability
    that a column gives to each. `ends`: int (N,), the column where each ends, see
    `decoding.letter_ends`.
    """

    text: str
    confidences: np.ndarray
    ends: np.ndarray


def window_predictions(
    outputs: BatchOutput, index: int, length: int, windows: Windows | None
) -> Iterator[WindowPrediction]:
    """The predictions for the windows of a clip of `length` frames, number `index` of a batch."""
    ranges = [(0, length)] if windows is None else frame_ranges(length, *windows)
    for number, (start, stop) in enumerate(ranges):
        probabilities = outputs.windows[index, number]
        window = WindowPrediction(
            frames=(start, stop),
            classes=int(probabilities.argmax()),
            probabilities=probabilities,
        )
        if outputs.steps is not None:
            window["steps"] = outputs.steps[index, number, : stop - start]
        yield window


def prediction_row(prediction: Prediction | None, class_names: tuple[str, ...]) -> dict[str, Any]:
    """A prediction as plain values; all None where there is none."""
    if prediction is None:
        return {"classes": None, "label": None, "probabilities": None}
    row = _plain(prediction, class_names)
    if "windows" in prediction:
        row["windows"] = [
            {"frames": list(window["frames"]), **_plain(window, class_names)}
            for window in prediction["windows"]
        ]
    return row


def calibrated(prediction: Prediction, temperature: float) -> Prediction:
    """A prediction, with its windows and steps, at a temperature; see `metrics.calibration`."""
    changed: Any = dict(prediction)
    for name in ("probabilities", "steps"):
        if name in changed:
            changed[name] = tempered_classes(changed[name], temperature)
    if "windows" in changed:
        changed["windows"] = [calibrated(window, temperature) for window in changed["windows"]]
    return changed


def _plain(
    prediction: Prediction | WindowPrediction, class_names: tuple[str, ...]
) -> dict[str, Any]:
    plain = {
        "classes": prediction["classes"],
        "label": class_names[prediction["classes"]],
        "probabilities": rounded(prediction["probabilities"]),
    }
    return plain | ({"steps": rounded(prediction["steps"])} if "steps" in prediction else {})


def rounded(probabilities: np.ndarray) -> Any:
    """Probabilities as plain values, to six decimals."""
    return np.round(probabilities.astype(np.float64), 6).tolist()
