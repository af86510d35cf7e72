"""Several runs side by side: what differs, how each ended, their curves."""

import os.path
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.colors import to_hex

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten
from seqvision.reports.charts import chart_style, new_figure, svg
from seqvision.reports.page import PAGE, Section, fill, write_page
from seqvision.runtime.console import duration_text
from seqvision.sweeps.plan import Plan, PlannedRun, metric_of
from seqvision.sweeps.plots import draw_curves, draw_field, run_colours
from seqvision.sweeps.table import Outcome, best_of, outcome_of, short_names, values_of
from seqvision.tasks.metric_text import format_metric

_MOST_PANELS, _MOST_FIELDS = 4, 12
_LONGEST = 60
# Where something lay, how often it was printed or saved: nothing that a result hangs on.
_PLACES = ("data.dir", "data.cache_dir", "log_every", "checkpoint.every", "checkpoint.keep")


class Row(NamedTuple):
    """A run in the table: its name, a link to its page or "", a colour, and its cells."""

    name: str
    link: str
    colour: str
    is_best: bool
    cells: list[str]


def plans_of(runs: Mapping[str, Settings]) -> Iterator[Plan]:
    """Runs as plans, one for each metric; the fields are those that differ.

    Args:
      runs: their configs, by the paths of their folders.
    """
    for metric in sorted({metric_of(one) for one in runs.values()}):
        chosen = {name: one for name, one in runs.items() if metric_of(one) == metric}
        fields = [flatten(one) for one in chosen.values()]
        keys = [
            key
            for key in fields[0]
            if key not in _PLACES and len({str(one[key]) for one in fields}) > 1
        ]
        planned = (PlannedRun(name, {}, one) for name, one in chosen.items())
        yield Plan(tuple(keys[:_MOST_FIELDS]), tuple(planned), metric)


def write_comparison(path: Path, title: str, plans: Sequence[Plan], root: Path) -> None:
    """Writes a page on several runs, from their records alone.

    Args:
      path: the HTML file.
      title: of the page.
      plans: the runs, each metric apart; their names are paths below `root`.
      root: a folder.

    Raises:
      OSError: it cannot be written.
    """
    sections: list[Section] = []
    for plan in plans:
        outcomes = [outcome_of(root / run.name, plan) for run in plan.runs]
        which = f" by {plan.metric}" if len(plans) > 1 else ""
        sections += _sections(plan, outcomes, root, path.parent, which)
    number = sum(len(plan.runs) for plan in plans)
    write_page(path, title, f"{number} runs side by side", sections)


def _sections(
    plan: Plan, outcomes: list[Outcome], root: Path, folder: Path, which: str
) -> Iterator[Section]:
    names = list(short_names(plan.keys).values())
    head = [f"best validation {plan.metric}", "at step", f"test {plan.metric}", "time", "status"]
    best = best_of(plan, outcomes)
    colours = [to_hex(colour) for colour in run_colours(plan)]
    rows = [
        Row(
            run.name, _link(root / run.name, folder), colour, number == best, _cells(plan, run, one)
        )
        for number, (run, one, colour) in enumerate(zip(plan.runs, outcomes, colours, strict=True))
    ]
    reasons = [(run.name, one.reason) for run, one in zip(plan.runs, outcomes, strict=True)]
    body = fill(
        "comparison.html",
        head=[*head, *names],
        rows=rows,
        reasons=[pair for pair in reasons if pair[1]],
        best=None if best is None else _best_words(plan, outcomes[best], best),
    )
    yield Section(f"results{which.replace(' ', '-')}", f"Results{which}", body)
    charts = list(_charts(plan, outcomes, names))
    body = fill(
        "charts.html", words=["Each run has the colour that it has in the table."], charts=charts
    )
    yield Section(f"curves{which.replace(' ', '-')}", f"Curves{which}", body)


def _cells(plan: Plan, run: PlannedRun, outcome: Outcome) -> list[str]:
    def text(value: float | None) -> str:
        return "" if value is None else format_metric(plan.metric, value)

    values = [str(value) for value in values_of(run, plan.keys)]
    return [
        text(outcome.best),
        "" if outcome.best_step is None else f"{outcome.best_step:,}",
        text(outcome.test),
        "" if outcome.seconds is None else duration_text(outcome.seconds),
        outcome.status,
        *(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…" for value in values),
    ]


def _best_words(plan: Plan, outcome: Outcome, number: int) -> str:
    best = format_metric(plan.metric, outcome.best or 0)
    test = "" if outcome.test is None else f", test {format_metric(plan.metric, outcome.test)}"
    return f"Best by validation {plan.metric}: {plan.runs[number].name} with {best}{test}."


def _link(workdir: Path, folder: Path) -> str:
    """Where the page of a run lies, seen from the folder of this page; "" where there is none."""
    page = workdir / PAGE
    if not page.is_file():
        return ""
    relative = os.path.relpath(page.absolute(), folder.absolute())
    return Path(relative).as_posix()


def _charts(plan: Plan, outcomes: list[Outcome], names: list[str]) -> Iterator[Markup]:
    label = f"validation {plan.metric}"
    with chart_style():
        figure, axes = new_figure("step", label)
        draw_curves(axes, plan, outcomes, names)
        ends = [f"{run.name} {one.best}" for run, one in zip(plan.runs, outcomes, strict=True)]
        yield svg(figure, f"{label} over the steps of each run; the best: {', '.join(ends)}")
        if len(names) > _MOST_PANELS:  # These runs are not of one plan.
            return
        for key, name in zip(plan.keys, names, strict=True):
            figure, axes = new_figure(name, f"best {label}")
            draw_field(axes, plan, outcomes, key)
            yield svg(figure, f"Best {label} of each run against {name}, as in the table")
