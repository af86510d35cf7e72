"""Plots of the runs of a sweep. They need matplotlib, the extra `plots`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqvision.runtime.atomic_write import write_atomically
from seqvision.sweeps.plan import Plan
from seqvision.sweeps.table import Outcome, short_names, values_of

_COLUMNS = 3
_MOST_NAMES = 24
_LOGARITHMIC = 8.0
_LUMINANCE = 0.2


def draw_sweep(plan: Plan, outcomes: Sequence[Outcome], path: Path) -> None:
    """Plots the best validation metric against each field that varies, and all learning curves.

    A run has the same colour in all panels.

    Args:
      plan: the sweep.
      outcomes: of its runs, in their order.
      path: the .png file to write.
    """
    num_panels = len(plan.keys) + 1
    num_columns = min(num_panels, _COLUMNS)
    num_rows = math.ceil(num_panels / num_columns)
    figure = Figure(figsize=(4.5 * num_columns, 3.6 * num_rows), layout="constrained")
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    names, colours = short_names(plan.keys), run_colours(len(plan.runs))
    for panel, key in zip(panels, plan.keys, strict=False):
        draw_field(panel, plan, outcomes, key, colours)
        panel.set_xlabel(names[key])
        panel.set_ylabel(f"best validation {plan.metric}")
    draw_curves(panels[len(plan.keys)], plan, outcomes, list(names.values()), colours)
    for panel in panels[num_panels:]:
        panel.set_axis_off()
    if 0 < len(panels[len(plan.keys)].lines) <= _MOST_NAMES:
        figure.legend(loc="outside right center", fontsize="x-small")
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=120))


def draw_field(
    panel: Axes, plan: Plan, outcomes: Sequence[Outcome], key: str, colours: Sequence[Any]
) -> None:
    """A point for each run."""
    points = [
        (values_of(run, [key])[0], outcome.best, colour)
        for run, outcome, colour in zip(plan.runs, outcomes, colours, strict=True)
        if outcome.best is not None
    ]
    if not points:
        return
    values, scores, chosen = zip(*points, strict=True)
    if all(type(value) in (int, float) for value in values):
        panel.scatter(values, scores, c=chosen)
        if min(values) > 0 and max(values) / min(values) >= _LOGARITHMIC:
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter("{x:g}")
            panel.xaxis.set_minor_formatter("")
    else:
        places = list(dict.fromkeys(map(str, values)))
        panel.scatter([places.index(str(value)) for value in values], scores, c=chosen)
        panel.set_xticks(range(len(places)), places)


def run_colours(count: int) -> list[Any]:
    """A colour for each run, (red, green, blue) from 0 to 1, to be seen on white and on black.

    All have the relative luminance 0.2 (WCAG 2.2), so the contrast is 4.2 to both.
    """
    places = 0.08 + 0.84 * (np.arange(count) + 0.5) / count
    shown = colormaps["turbo"](places)[:, :3]
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    bright = linear @ [0.2126, 0.7152, 0.0722]
    darker = linear * (_LUMINANCE / bright)[:, None]
    paler = linear + (1 - linear) * ((_LUMINANCE - bright) / (1 - bright))[:, None]
    linear = np.where(bright[:, None] > _LUMINANCE, darker, paler)
    return list(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def draw_curves(
    panel: Axes,
    plan: Plan,
    outcomes: Sequence[Outcome],
    names: Sequence[str],
    colours: Sequence[Any],
) -> None:
    """A line for each run: the metric over the steps."""
    for run, outcome, colour in zip(plan.runs, outcomes, colours, strict=True):
        if outcome.curve:
            values = map(str, values_of(run, plan.keys))
            label = ", ".join(f"{n} {v}" for n, v in zip(names, values, strict=True))
            panel.plot(*zip(*outcome.curve, strict=True), marker=".", c=colour, label=label)
    panel.set_xlabel("step")
    panel.set_ylabel(f"validation {plan.metric}")
