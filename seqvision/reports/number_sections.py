"""Sections about a run that predicts a number: predictions against truths, the largest errors."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from seqvision.data.dataset import Split
from seqvision.reports.charts import FIRST, MUTED, chart_style, new_figure, svg
from seqvision.reports.examined import as_it_reads, example_arrays, example_names, predictions_of
from seqvision.reports.examples import Example
from seqvision.reports.film import draw_film
from seqvision.reports.page import Section, fill
from seqvision.reports.pictures import frames_of, picture_of, picture_uri
from seqvision.runs.saved_run import Run

_EXAMPLES = 6
_MOST_POINTS = 2000


def number_sections(run: Run, split: Split, split_name: str) -> Iterator[Section]:
    """Predicts a split and describes what was found; examples of unknown number count nowhere."""
    run = as_it_reads(run, split)
    truths, values = read_numbers(run, split)
    words = number_words(truths, values)
    figures = number_figure(truths, values), residual_figure(truths, values)
    alts = "Each prediction against the true number", "The error of each against the true number"
    charts = [svg(figure, alt) for figure, alt in zip(figures, alts, strict=True)]
    body = fill("charts.html", words=[words], charts=charts)
    known = np.isfinite(truths)
    errors = np.abs(np.where(known, values - truths, 0))
    metrics = {"mae": float(errors[known].mean())} if known.any() else {}
    yield Section("numbers", "Predicted and true", body, metrics)
    worst = np.argsort(-errors, kind="stable")[:_EXAMPLES].tolist()
    names, arrays = example_names(split, worst), example_arrays(split, worst)
    shown = [
        _shown(name, array, float(truths[number]), float(values[number]))
        for name, array, number in zip(names, arrays, worst, strict=True)
    ]
    groups = [("The largest errors", shown)]
    body = fill("examples.html", words=[], split=split_name, groups=groups)
    yield Section("examples", "Examples", body)


def read_numbers(run: Run, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """What is true (NaN where unknown) and what was predicted, float64 (N,), of all examples."""
    found = [(float(label), one["value"]) for one, label in predictions_of(run, split)]
    truths, values = np.array(found, np.float64).T
    return truths, values


def number_words(truths: np.ndarray, values: np.ndarray) -> str:
    """How far predictions are off, as a sentence."""
    known = np.isfinite(truths)
    errors = (values - truths)[known]
    if not len(errors):
        return "No true number is known."
    inside = np.quantile(np.abs(errors), 0.9)
    way = "above" if errors.mean() > 0 else "below"
    return (
        f"Of {len(errors):,} known numbers, predictions are off by {np.abs(errors).mean():.4g} on"
        f" average, and by at most {inside:.4g} in 9 of 10 cases. They lie {abs(errors.mean()):.4g}"
        f" {way} the truth on average."
    )


def number_figure(truths: np.ndarray, values: np.ndarray) -> Figure:
    """A point for each example, or for the first of very many."""
    known = np.flatnonzero(np.isfinite(truths))[:_MOST_POINTS]
    with chart_style():
        figure, axes = new_figure("true", "predicted")
        axes.scatter(truths[known], values[known], s=6, color=FIRST, alpha=0.6, linewidths=0)
        if len(known):
            ends = [truths[known].min(), truths[known].max()]
            axes.plot(ends, ends, "--", color=MUTED, linewidth=1)
    return figure


def residual_figure(truths: np.ndarray, values: np.ndarray) -> Figure:
    """How far each of these predictions is off."""
    known = np.flatnonzero(np.isfinite(truths))[:_MOST_POINTS]
    with chart_style():
        figure, axes = new_figure("true", "predicted - true")
        errors = values[known] - truths[known]
        axes.scatter(truths[known], errors, s=6, color=FIRST, alpha=0.6, linewidths=0)
        axes.axhline(0, linestyle="--", color=MUTED, linewidth=1)
    return figure


def _shown(name: str, array: np.ndarray, truth: float, value: float) -> Example:
    picture = picture_of(array)
    film = draw_film(picture.shape[:2], array.ndim == 3, None, [], None, frames=frames_of(array))
    title, words = f"{value:.4g}, is {truth:.4g}", [f"Off by {value - truth:+.4g}."]
    return Example(name, title, False, picture_uri(picture, array.ndim == 4), film, [], words)
