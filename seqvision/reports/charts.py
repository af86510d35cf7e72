"""Charts as SVG that stands within a page and takes its colours. They need matplotlib."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SIZE = (4.2, 2.8)
"""Of a chart, in inches."""
_LOGARITHMIC = 8.0

# Stand-ins, by which the page's own colours are put in: those of the light and of the dark page.
_COLOURS = {
    "ink": "#010101",
    "muted": "#010102",
    "line": "#010103",
    "k0": "#010104",
    "k1": "#010105",
    "k2": "#010106",
    "k3": "#010107",
    "k4": "#010108",
    "rest": "#010109",
}
INK, MUTED, LINE, FIRST, SECOND, THIRD, FOURTH, FIFTH, REST = _COLOURS.values()
SERIES = (FIRST, SECOND, THIRD, FOURTH, FIFTH)

_STYLE: Any = {
    "svg.fonttype": "none",  # Text stays text.
    "svg.hashsalt": "seqvision",  # The same chart gives the same bytes.
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "font.size": 10,
}


def in_css(colour: str) -> str:
    """A colour of a chart, for a style sheet."""
    return {value: f"var(--{name})" for name, value in _COLOURS.items()}.get(colour, colour)


@contextlib.contextmanager
def chart_style() -> Iterator[None]:
    """Figures that are made and saved inside have the colours of the page."""
    with rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph", category=UserWarning)
        yield


def svg(figure: Figure, alt: str) -> Markup:
    """A figure as an `<svg>` element of the page.

    Args:
      figure: made inside of `chart_style`.
      alt: what it shows, in words, for those who do not see it.
    """
    file = io.StringIO()
    with chart_style():
        # Without a date, and without words on the program.
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=none)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for colour in _COLOURS.values():
        text = text.replace(colour, in_css(colour))
    # Names of groups would be there once for each chart of the page.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--font)", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"\s*\n\s*", "\n", text)
    label = Markup('<svg role="img" aria-label="{}" class="chart"').format(alt)
    return Markup(text.replace("<svg", label, 1).strip())  # All of it is matplotlib's.


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> Figure:
    """Lines by their names, each of x and y; `log` where the values are of many magnitudes."""
    with chart_style():
        figure, axes = new_figure(xlabel, ylabel)
        for (name, (x, y)), colour in zip(series.items(), SERIES, strict=False):
            marker = "." if len(x) < 40 else ""
            axes.plot(x, y, color=colour, label=name, linewidth=1.6, marker=marker)
        values = [value for _, y in series.values() for value in y]
        if log and min(values) > 0 and max(values) / min(values) >= _LOGARITHMIC:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        if len(series) > 1:
            axes.legend()
    return figure


def new_figure(xlabel: str, ylabel: str) -> tuple[Figure, Any]:
    """A figure with one pair of axes; inside of `chart_style`."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_xlabel(xlabel)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=xlabel == "step", steps=[1, 2, 5, 10]))
    axes.set_ylabel(ylabel)
    return figure, axes
