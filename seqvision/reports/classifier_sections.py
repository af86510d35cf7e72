"""Sections about a classifier: confusions, examples, what was seen, calibration."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from seqvision.data.dataset import Split
from seqvision.metrics.confusion import confusion_matrix
from seqvision.reports.beliefs import decided_when_sure, seen_words, step_accuracy
from seqvision.reports.calibration import calibration_section
from seqvision.reports.charts import FIRST, SECOND, chart_style, new_figure, svg
from seqvision.reports.confusion import commonest, confusion_words
from seqvision.reports.examined import (
    Examined,
    as_it_reads,
    examine,
    least_sure,
    most_confident_mistakes,
)
from seqvision.reports.examples import read_examples
from seqvision.reports.occlusion import bands_of
from seqvision.reports.page import Section, fill
from seqvision.reports.pictures import data_uri
from seqvision.runs.saved_run import Run

_MOST_CLASSES = 20
"""So many classes have a table; more are a picture."""
_EXAMPLES = 6


def classifier_sections(run: Run, split: Split, split_name: str) -> Iterator[Section]:
    """Examines a split and describes what was found."""
    run = as_it_reads(run, split)
    examined = examine(run, split, split_name)
    yield confusions(examined, run.data.class_names)
    yield examples(run, examined)
    if examined.beliefs is not None and examined.beliefs.correct.shape[1] > 1:
        yield seen(examined)
    yield calibration_section(examined.confidence, examined.labels == examined.predicted)


def confusions(examined: Examined, names: tuple[str, ...], unit: str = "examples") -> Section:
    """The confusion matrix of examples or frames, and the three commonest confusions in words."""
    matrix = confusion_matrix(examined.labels, examined.predicted, len(names)).astype(int)
    found = commonest(matrix, 3 if len(names) <= _MOST_CLASSES else 10)
    dark = shades(matrix)
    alt = (
        f"Confusion matrix of {len(examined.labels):,} {examined.split_name} {unit}; rows are"
        " what they are, columns what they were taken for."
    )
    picture, rows = "", []
    if len(names) > _MOST_CLASSES:
        picture = data_uri((255 * dark).astype(np.uint8)[..., None], largest=1000)
    else:
        rows = [
            _row(name, matrix[number], number, dark[number]) for number, name in enumerate(names)
        ]
    body = fill(
        "confusions.html",
        words=[confusion_words(one, names) for one in found],
        right=int(np.trace(matrix)),
        total=len(examined.labels),
        split=examined.split_name,
        unit=unit,
        names=names,
        rows=rows,
        picture=picture,
        alt=alt,
    )
    accuracy = float(np.trace(matrix) / max(1, matrix.sum()))
    return Section("confusions", "Confusions", body, {"accuracy": accuracy})


def shades(matrix: np.ndarray) -> np.ndarray:
    """How dark each confusion is, (K, K): 1 where the largest part of a class is taken for another.

    By the root, so that a confusion of 1 % is seen beside one of 20 %; 0 of what is right.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1) * (1 - np.eye(len(matrix)))
    return np.sqrt(shares / max(shares.max(), 1e-12))


def _row(name: str, counts: np.ndarray, number: int, dark: np.ndarray) -> dict[str, object]:
    cells = []
    for place, count in enumerate(counts.tolist()):
        kind = "right" if place == number else "wrong" if count else "none"
        share = f"{0.06 + 0.44 * dark[place]:.2f}" if kind == "wrong" else ""
        cells.append({"count": count, "kind": kind, "share": share})
    accuracy = f"{counts[number] / counts.sum():.2%}" if counts.sum() else "no examples"
    return {"name": name, "cells": cells, "accuracy": accuracy}


def examples(run: Run, examined: Examined) -> Section:
    """The surest mistakes and the least sure predictions."""
    worst = most_confident_mistakes(examined, _EXAMPLES)
    unsure = least_sure(examined, _EXAMPLES, but=worst)
    read, most = read_examples(run, examined, worst + unsure)
    bars = (
        "how far the probability of what was said falls (blue) or rises (orange) where that part of"
        f" the picture is blanked. All bars have one scale: at most {100 * most:.2f} points."
    )
    words = [
        "Blue is what it said in the end, orange what it is; other colours are the runner-up in the"
        " end and what else was believed most on the way, grey all other classes. Beside or below"
        f" each picture: the probabilities after each step, and {bars}"
    ]
    if not examined.step_name:
        words = [
            "This network needs the whole input, so there is no belief after each step. The legend:"
            " blue is what it said, orange what it is. Bars beside or below a picture show"
            f" {bars}"
        ]
    if bands_of(run.settings, lambda axis: 1) is None:
        words = ["This network has no steps that could be shown or blanked one by one."]
    if run.settings.model.sequence == "features":
        words.append("A picture shows what the network reads: a column of features for each frame.")
    body = fill(
        "examples.html",
        words=words,
        split=examined.split_name,
        groups=[
            ("The most confident mistakes", read[: len(worst)]),
            ("The least sure", read[len(worst) :]),
        ],
    )
    return Section("examples", "Examples", body)


def seen(examined: Examined) -> Section:
    """Accuracy against how much was seen."""
    assert examined.beliefs is not None
    found = step_accuracy(examined.beliefs)
    words = [seen_words(found, examined.step_name)]
    if _stops(examined):
        words.append(
            "The orange line: each stops as soon as its probability reaches a threshold; a point"
            f" for each threshold, against the {examined.step_name} that are then seen on average."
        )
    alt = f"Accuracy against {examined.step_name} seen"
    body = fill("charts.html", words=words, charts=[svg(seen_figure(examined), alt)])
    return Section("seen", "Accuracy against what was seen", body)


def _stops(examined: Examined) -> bool:
    """Whether all examples have the same number of steps, and stopping early can be shown."""
    assert examined.beliefs is not None
    return bool((examined.beliefs.lengths == examined.beliefs.correct.shape[1]).all())


def seen_figure(examined: Examined) -> Figure:
    """Accuracy after each step, and of decisions that are taken when sure."""
    assert examined.beliefs is not None
    accuracy = step_accuracy(examined.beliefs).accuracy
    steps = len(accuracy)
    with chart_style():
        figure, axes = new_figure(f"{examined.step_name} seen", "accuracy")
        axes.plot(np.arange(1, steps + 1), accuracy, color=FIRST, label="all stop after so many")
        if _stops(examined):
            points = decided_when_sure(examined.beliefs)
            decided = [(share * steps, right) for share, right in points]
            axes.plot(*zip(*decided, strict=True), color=SECOND, label="each stops when sure")
            axes.legend(loc="best")
        axes.set_ylim(0, 1.02)
    return figure
