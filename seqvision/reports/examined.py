"""A split as a classifier sees it: its prediction of each example, and its beliefs on the way."""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from seqvision.data.dataset import Split
from seqvision.errors import UserError
from seqvision.inference.decision_curve import Beliefs, read_beliefs
from seqvision.inference.stream_engines import classifier_steps
from seqvision.runs.saved_run import Run, of_features
from seqvision.runtime.console import on_terminal
from seqvision.runtime.mesh import create_mesh


class Examined(NamedTuple):
    """Predictions of N examples.

    Attributes:
      split: the examples.
      split_name: `train`, `validation` or `test`.
      labels, predicted: (N,) int, class numbers.
      confidence: float32 (N,), the probability of what was predicted.
      beliefs: after each step; None where the network needs the whole input.
      step_name: what these steps are: rows, columns, pixels or frames; "" where there are none.
    """

    split: Split
    split_name: str
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    beliefs: Beliefs | None
    step_name: str


def as_it_reads(run: Run, split: Split) -> Run:
    """The run as a network on features, where the split has those of its frozen backbone."""
    if not run.settings.model.computes_features_once:
        return run
    model = dataclasses.replace(run.settings.model, sequence="features", backbone="none")
    first = split.read(np.zeros(1, np.int32))["inputs"]
    return dataclasses.replace(
        of_features(run),
        settings=dataclasses.replace(run.settings, model=model),
        data=dataclasses.replace(run.data, input_shape=first.shape[1:]),
    )


def examine(run: Run, split: Split, split_name: str) -> Examined:
    """Predicts a split, each example once, and reads it step by step where the network can."""
    step_name, beliefs = step_name_of(run), None
    if step_name:
        with progress(len(split), "example") as bar:
            beliefs = read_beliefs(run, split, "probability", bar.update)
    if beliefs is not None and not run.settings.data.window:
        # What is believed after the last step is the prediction.
        every, last = np.arange(len(split)), beliefs.lengths - 1
        labels, predicted = beliefs.labels, beliefs.winners[every, last]
        confidence = beliefs.sure[every, last]
    else:
        labels, predicted, confidence = _predictions(run, split)
    return Examined(split, split_name, labels, predicted, confidence, beliefs, step_name)


def _predictions(run: Run, split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each example: its label, the class that was predicted, the probability of that, (N,)."""
    found = [
        (int(label), one["classes"], float(one["probabilities"][one["classes"]]))
        for one, label in predictions_of(run, split)
    ]
    labels, predicted, confidence = zip(*found, strict=True)
    return np.array(labels), np.array(predicted), np.array(confidence, np.float32)


def predictions_of(run: Run, split: Split, unit: str = "example") -> list[tuple[Any, Any]]:
    """The prediction and the label of each example, in their order."""
    found: list[tuple[Any, Any]] = []
    batch_size = run.settings.data.eval_batch_size
    evaluate = run.task.create_evaluation(run.model, create_mesh(), split.take, batch_size)
    with progress(len(split), unit) as bar:

        def keep(prediction: Any, label: Any) -> None:
            found.append((prediction, label))
            bar.update()

        evaluate(run.params, split, keep)
    return found


def example_arrays(split: Split, numbers: list[int]) -> list[np.ndarray]:
    """Images (height, width, channels), or clips (T, ...) without their padding."""
    batch = split.read(np.array(numbers, np.int32))
    arrays = [np.asarray(array) for array in batch["inputs"]]
    if "lengths" not in batch:
        return arrays
    return [array[:length] for array, length in zip(arrays, batch["lengths"], strict=True)]


def example_names(split: Split, numbers: list[int]) -> list[str]:
    """The files that examples come from, without the folder of them all; else their numbers."""
    if not split.names:
        return [str(number) for number in numbers]
    paths = [Path(split.names[number]) for number in numbers]
    folder = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [path.relative_to(folder).as_posix() for path in paths]


def step_name_of(run: Run) -> str:
    """What the steps of a classifier of one direction are; "" where it needs the whole input."""
    try:
        return classifier_steps(run)[1]
    except UserError:
        return ""


def progress(total: int, unit: str) -> Any:
    """A progress bar with the time that is left, on a terminal."""
    return tqdm(total=total, unit=unit, disable=not on_terminal(), leave=False)


def most_confident_mistakes(examined: Examined, count: int) -> list[int]:
    """Numbers of the wrong examples, the surest first; of equals the first."""
    wrong = np.flatnonzero(examined.labels != examined.predicted)
    order = np.argsort(-examined.confidence[wrong], kind="stable")
    return wrong[order[:count]].tolist()


def least_sure(examined: Examined, count: int, but: list[int]) -> list[int]:
    """Numbers of the examples with the lowest confidence, the lowest first, some left out."""
    order = np.argsort(examined.confidence, kind="stable")
    return [number for number in order[: count + len(but)].tolist() if number not in but][:count]
