"""Sections about a classifier: confusions, examples, what was seen, calibration."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from seqvision.data.dataset import Split
from seqvision.metrics.confusion import confusion_matrix
from seqvision.reports.beliefs import decided_when_sure, seen_words, step_accuracy
from seqvision.reports.calibration import Reliability, calibration_words, reliability
from seqvision.reports.charts import FIRST, MUTED, REST, SECOND, chart_style, new_figure, svg
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
    yield calibration(examined)


def confusions(examined: Examined, names: tuple[str, ...], unit: str = "examples") -> Section:
    """The confusion matrix of examples or frames, and the three commonest confusions in words."""
    matrix = confusion_matrix(examined.labels, examined.predicted, len(names)).astype(int)
    found = commonest(matrix, 3 if len(names) <= _MOST_CLASSES else 10)
    total = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    alt = (
        f"Confusion matrix of {len(examined.labels):,} {examined.split_name} {unit}; rows are"
        " what they are, columns what they were taken for."
    )
    picture, rows = "", []
    if len(names) > _MOST_CLASSES:
        shares = np.sqrt(matrix / total)
        picture = data_uri((255 * shares).astype(np.uint8)[..., None], largest=1000)
    else:
        rows = [_row(matrix, number, name) for number, name in enumerate(names)]
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
    return Section("confusions", "Confusions", body)


def _row(matrix: np.ndarray, number: int, name: str) -> dict[str, object]:
    counts, total = matrix[number], max(1, int(matrix[number].sum()))
    cells = []
    for place, count in enumerate(counts.tolist()):
        kind = "right" if place == number else "none" if count == 0 else "wrong"
        # A confusion of 1 % is to be seen beside one of 20 %.
        share = f"{min(0.5, 0.08 + 1.6 * (count / total) ** 0.5):.2f}" if kind == "wrong" else ""
        cells.append({"count": count, "kind": kind, "share": share})
    accuracy = f"{counts[number] / total:.1%}" if matrix[number].sum() else "no examples"
    return {"name": name, "cells": cells, "accuracy": accuracy}


def examples(run: Run, examined: Examined) -> Section:
    """The surest mistakes and the least sure predictions."""
    worst = most_confident_mistakes(examined, _EXAMPLES)
    unsure = least_sure(examined, _EXAMPLES, but=worst)
    read = read_examples(run, examined, worst + unsure)
    words = [
        "Beside or below each picture: the probabilities after each step, in the colours of the"
        " legend (grey: all other classes), and how far the probability of what was said falls"
        " (blue) or rises (orange) where that part of the picture is blanked."
    ]
    if not examined.step_name:
        words = [
            "This network needs the whole input, so there is no belief after each step. Bars beside"
            " or below a picture show how far the probability of what was said falls (blue) or"
            " rises (orange) where that part of it is blanked."
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
    words = seen_words(found, examined.step_name)
    body = fill("charts.html", words=[words], charts=[svg(seen_figure(examined), words)])
    return Section("seen", "Accuracy against what was seen", body)


def seen_figure(examined: Examined) -> Figure:
    """Accuracy after each step, and of decisions that are taken when sure."""
    assert examined.beliefs is not None
    accuracy = step_accuracy(examined.beliefs).accuracy
    steps = len(accuracy)
    with chart_style():
        figure, axes = new_figure(f"{examined.step_name} seen", "accuracy")
        axes.plot(np.arange(1, steps + 1), accuracy, color=FIRST, label="all stop after so many")
        decided = [(share * steps, right) for share, right in decided_when_sure(examined.beliefs)]
        if (examined.beliefs.lengths == steps).all():
            axes.plot(*zip(*decided, strict=True), color=SECOND, label="each stops when sure")
            axes.legend(fontsize="small", loc="lower right")
        axes.set_ylim(0, 1.02)
    return figure


def calibration(examined: Examined) -> Section:
    """The reliability diagram with the expected calibration error."""
    found = reliability(examined.confidence, examined.labels == examined.predicted)
    words = calibration_words(found)
    chart = svg(reliability_figure(found), words)
    body = fill("charts.html", words=[words], charts=[chart])
    return Section("calibration", "Is it as right as it is sure?", body)


def reliability_figure(found: Reliability) -> Figure:
    """Accuracy against confidence, in bins, and how many predictions each bin has."""
    bins = len(found.counts)
    centres, width = (np.arange(bins) + 0.5) / bins, 1 / bins
    with chart_style():
        figure, axes = new_figure("how sure it was", "fraction right")
        axes.bar(centres, found.counts / found.counts.sum(), width, color=REST, label="predictions")
        axes.plot(
            [0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="as sure as right"
        )
        is_used = found.counts > 0
        axes.plot(
            found.confidence[is_used],
            found.accuracy[is_used],
            "o-",
            color=FIRST,
            markersize=4,
            label="accuracy",
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure
