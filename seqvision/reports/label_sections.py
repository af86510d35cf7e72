"""Sections about a run on several labels: AUC and average precision of each, the worst examples."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from seqvision.data.dataset import Split
from seqvision.data.targets import UNKNOWN
from seqvision.metrics.scores import defined
from seqvision.reports.charts import FIRST, SECOND, chart_style, new_figure, svg
from seqvision.reports.examined import as_it_reads, example_arrays, example_names, predictions_of
from seqvision.reports.examples import Chip, Example
from seqvision.reports.film import draw_film
from seqvision.reports.page import Section, fill
from seqvision.reports.pictures import frames_of, picture_of, picture_uri
from seqvision.runs.saved_run import Run

_EXAMPLES = 6
_MOST_LABELS = 24
_MOST_CHIPS = 8
_SPECIFICITY = 0.9


def label_sections(run: Run, split: Split, split_name: str) -> Iterator[Section]:
    """Predicts a split and describes what was found; unknown labels count nowhere."""
    run = as_it_reads(run, split)
    examples = predictions_of(run, split)
    scores = run.task.scores(examples)
    assert scores is not None
    found: Mapping[str, Any] = scores.details(_SPECIFICITY)["classes"]
    # Of very many labels, those that are ranked worst.
    chosen = sorted(found, key=lambda name: found[name]["average_precision"] or 0.0)[:_MOST_LABELS]
    found = {name: found[name] for name in found if name in chosen}
    words = label_words(found)
    body = fill(
        "labels.html",
        words=words,
        chart=svg(label_figure(found), "AUC and average precision of each label"),
        rows=found,
    )
    yield Section("labels", "Labels", body, defined(scores.values()))
    truths = np.array([label for _, label in examples])
    probabilities = np.array([one["probabilities"] for one, _ in examples])
    yield _examples(run, split, split_name, truths, probabilities)


def label_words(found: Mapping[str, Any]) -> str:
    """The label that is ranked worst, and the best one."""
    known = {name: one["auc"] for name, one in found.items() if one["auc"] is not None}
    if not known:
        return "No label has known examples both with it and without it."
    order = sorted(known, key=lambda name: known[name])
    best = f" to {known[order[-1]]:.4f} of {order[-1]}" if len(order) > 1 else ""
    return f"AUC: {known[order[0]]:.4f} of {order[0]}{best}."


def label_figure(found: Mapping[str, Any]) -> Figure:
    """Two bars for each label; none where a value is undefined."""
    places = np.arange(len(found))
    with chart_style():
        figure, axes = new_figure("", "")
        for shift, name, title, colour in (
            (-0.2, "auc", "AUC", FIRST),
            (0.2, "average_precision", "average precision", SECOND),
        ):
            values = [one[name] or 0.0 for one in found.values()]
            axes.barh(places + shift, values, 0.36, color=colour, label=title)
        axes.set_yticks(places, list(found))
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        figure.set_figheight(max(figure.get_figheight(), 0.8 + 0.28 * len(found)))
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def _examples(
    run: Run, split: Split, split_name: str, truths: np.ndarray, probabilities: np.ndarray
) -> Section:
    off = np.where(truths == UNKNOWN, 0.0, np.abs(probabilities - truths)).max(axis=1)
    worst = np.argsort(-off, kind="stable")[:_EXAMPLES].tolist()
    names, arrays = example_names(split, worst), example_arrays(split, worst)
    shown = [
        _shown(run.data.class_names, name, array, truths[number], probabilities[number])
        for name, array, number in zip(names, arrays, worst, strict=True)
    ]
    words = [
        "The examples of which a single label is furthest off. The legend has the probabilities of"
        " labels: blue where the example has the label, orange where not, grey where unknown."
    ]
    groups = [("Furthest off", shown)]
    body = fill("examples.html", words=words, split=split_name, groups=groups)
    return Section("examples", "Examples", body)


def _shown(
    names: tuple[str, ...],
    name: str,
    array: np.ndarray,
    truths: np.ndarray,
    probabilities: np.ndarray,
) -> Example:
    picture = picture_of(array)
    said = probabilities >= 0.5
    right = ((truths == 1) == said) | (truths == UNKNOWN)
    kinds = np.where(truths == UNKNOWN, "rest", np.where(truths == 1, "k0", "k1"))
    # What is or was said first, the most probable of them first.
    order = np.lexsort((-probabilities, ~(said | (truths == 1))))[:_MOST_CHIPS].tolist()
    chips = [Chip(names[one], float(probabilities[one]), str(kinds[one])) for one in order]
    title = f"{_listed(names, said)}; it has {_listed(names, truths == 1)}"
    film = draw_film(picture.shape[:2], array.ndim == 3, None, [], None, frames=frames_of(array))
    uri = picture_uri(picture, array.ndim == 4)
    return Example(name, f"said {title}", bool(right.all()), uri, film, chips, [])


def _listed(names: tuple[str, ...], chosen: np.ndarray) -> str:
    found = [names[one] for one in np.flatnonzero(chosen).tolist()]
    more = f" and {len(found) - _MOST_CHIPS} more" * (len(found) > _MOST_CHIPS)
    return (", ".join(found[:_MOST_CHIPS]) or "none") + more
