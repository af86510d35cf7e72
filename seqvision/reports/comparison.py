"""Several runs side by side: what differs, how each ended, their curves."""

import hashlib
import os.path
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.colors import to_hex

from seqvision.config.data_schema import MADE_SOURCES
from seqvision.config.schema import Settings
from seqvision.config.validation import flatten
from seqvision.errors import UserError
from seqvision.reports.charts import SERIES, chart_style, in_css, new_figure, svg
from seqvision.reports.curves import metric_label
from seqvision.reports.page import PAGE, Section, fill, write_page
from seqvision.runs.data_facts import read_data_facts
from seqvision.runtime.console import duration_text
from seqvision.sweeps.plan import Plan, PlannedRun, metric_of
from seqvision.sweeps.plots import draw_curves, draw_field, run_colours
from seqvision.sweeps.table import Outcome, best_of, outcome_of, short_names, values_of
from seqvision.tasks.metric_text import format_metric

_MOST_PANELS, _MOST_FIELDS = 4, 12  # More fields than panels have a table of their own.
_LONGEST, _LONGEST_NAMES = 60, 24
# Where something lay, how often it was printed or saved: nothing that a result hangs on.
_PLACES = ("data.dir", "data.cache_dir", "log_every", "checkpoint.every", "checkpoint.keep")


class Row(NamedTuple):
    """A run in the table: its name, a link to its page or "", a colour, and its cells."""

    name: str
    link: str
    colour: str
    is_best: bool
    cells: list[str]


class Group(NamedTuple):
    """What runs have in common that are compared: equal ones have the same metric, data and task.

    Attributes:
      metric: by which they are compared.
      data: the source and the name of the data.
      classes: of the data.
      examples: their fingerprints; the recipe of generated ones, whose fingerprints have the seed.
    """

    metric: str
    data: str
    classes: tuple[str, ...] = ()
    examples: str = ""


def plans_of(runs: Mapping[str, Settings], root: Path) -> dict[str, Plan]:
    """Runs as plans, one for each group, by its name; the fields are those that differ.

    Args:
      runs: their configs, by the paths of their folders.
      root: the folder that these are in.
    """
    groups: dict[Group, dict[str, Settings]] = {}
    for name, one in runs.items():
        groups.setdefault(_group(one, root / name), {})[name] = one
    plans = {}
    for group, chosen in groups.items():
        fields = [flatten(one) for one in chosen.values()]
        keys = [
            key
            for key in fields[0]
            if key not in _PLACES and len({str(one[key]) for one in fields}) > 1
        ]
        planned = (PlannedRun(name, {}, one) for name, one in chosen.items())
        plan = Plan(tuple(keys[:_MOST_FIELDS]), tuple(planned), group.metric)
        plans[_name(group, [other for other in groups if other != group])] = plan
    return plans


def _group(settings: Settings, workdir: Path) -> Group:
    metric, data = metric_of(settings), settings.data
    try:
        facts = read_data_facts(workdir)
    except UserError:  # It has not begun.
        return Group(metric, f"{data.source} {data.path or data.name}".strip())
    source = "" if data.source == "tfds" else f"{data.source} of "
    recipe = settings.lines if settings.reads_text else settings.clips
    examples = recipe if data.source in MADE_SOURCES else sorted(facts.fingerprints.items())
    return Group(metric, f"{source}{facts.name}", facts.class_names, str(examples))


def _name(group: Group, others: Sequence[Group]) -> str:
    """What tells a group from the others: its data, its classes where need be, its metric."""
    words = group.data
    if any(other[:2] == group[:2] for other in others):
        classes = ", ".join(group.classes)
        words += (
            f" ({classes if len(classes) <= _LONGEST_NAMES else f'{len(group.classes)} classes'})"
        )
    if any(other[:3] == group[:3] for other in others):
        words += f" {hashlib.sha256(group.examples.encode()).hexdigest()[:6]}"
    return f"{words}, by {metric_label(group.metric)}" if others else ""


def write_comparison(
    path: Path, title: str, plans: Mapping[str, Plan], root: Path, missing: Sequence[str]
) -> None:
    """Writes a page on several runs, from their records alone.

    Args:
      path: the HTML file.
      title: of the page.
      plans: the runs, by names of their groups; the names of runs are paths below `root`.
      root: a folder.
      missing: names of runs that were planned, and are not there.

    Raises:
      OSError: it cannot be written.
    """
    sections: list[Section] = []
    number = absent = 0
    for place, (name, plan) in enumerate(plans.items()):
        outcomes = [outcome_of(root / run.name, plan) for run in plan.runs]
        suffix = f"-{place + 1}" if len(plans) > 1 else ""
        sections += _sections(plan, outcomes, root, path.parent, name, suffix)
        number += len(outcomes)
        absent += sum(one.status == "missing" for one in outcomes)
    if missing:
        body = Markup("<p>{}</p>").format("; ".join(missing))
        sections.append(Section("missing", "Missing runs", body))
    number, absent = number + len(missing), absent + len(missing)
    words = f"{number} runs side by side"
    if absent:
        words = (
            f"{number - absent} of {number} runs; {absent} {'is' if absent == 1 else 'are'} missing"
        )
    write_page(path, title, words, sections)


def _sections(
    plan: Plan, outcomes: list[Outcome], root: Path, folder: Path, name: str, suffix: str
) -> Iterator[Section]:
    names, label = list(short_names(plan.keys).values()), metric_label(plan.metric)
    head = [f"best validation {label}", "at step", f"test {label}", "time", "status"]
    count = len(plan.runs)
    best = best_of(plan, outcomes) if count > 1 else None
    colours = SERIES[:count] if count <= len(SERIES) else [*map(to_hex, run_colours(count))]
    cells = [_cells(plan, run, one) for run, one in zip(plan.runs, outcomes, strict=True)]
    values = [_values(plan, run) for run in plan.runs]
    is_beside = len(names) <= _MOST_PANELS
    rows = [
        Row(
            run.name,
            _link(root / run.name, folder),
            in_css(colours[number]),
            number == best,
            cells[number] + values[number] * is_beside,
        )
        for number, run in enumerate(plan.runs)
    ]
    reasons = [(run.name, one.reason) for run, one in zip(plan.runs, outcomes, strict=True)]
    body = fill(
        "comparison.html",
        head=[*head, *names * is_beside],
        rows=rows,
        fields=[] if is_beside else _fields([run.name for run in plan.runs], names, values),
        reasons=[pair for pair in reasons if pair[1]],
        best=None if best is None else _best_words(plan, outcomes[best], best),
    )
    of = f": {name}" if name else ""
    yield Section(f"results{suffix}", f"Results{of}", body)
    body = fill(
        "charts.html",
        words=["Each run has the colour that it has in the table."],
        charts=list(_charts(plan, outcomes, names, colours)),
    )
    yield Section(f"curves{suffix}", f"Curves{of}", body)


def _fields(runs: list[str], names: list[str], values: list[list[str]]) -> list[list[str]]:
    """A table of the fields, its head first: a column for each run or, if less, for each field."""
    if len(names) <= len(runs):
        head, rows = ["run", *names], zip(runs, values, strict=True)
    else:
        turned = [[row[place] for row in values] for place in range(len(names))]
        head, rows = ["field", *runs], zip(names, turned, strict=True)
    return [head, *([name, *row] for name, row in rows)]


def _cells(plan: Plan, run: PlannedRun, outcome: Outcome) -> list[str]:
    def text(value: float | None) -> str:
        return "" if value is None else format_metric(plan.metric, value)

    return [
        text(outcome.best),
        "" if outcome.best_step is None else f"{outcome.best_step:,}",
        text(outcome.test),
        "" if outcome.seconds is None else duration_text(outcome.seconds),
        outcome.status,
    ]


def _values(plan: Plan, run: PlannedRun) -> list[str]:
    values = [str(value) for value in values_of(run, plan.keys)]
    return [value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…" for value in values]


def _best_words(plan: Plan, outcome: Outcome, number: int) -> str:
    best = format_metric(plan.metric, outcome.best or 0)
    test = "" if outcome.test is None else f", test {format_metric(plan.metric, outcome.test)}"
    label, name = metric_label(plan.metric), plan.runs[number].name
    return f"Best by validation {label}: {name} with {best}{test}."


def _link(workdir: Path, folder: Path) -> str:
    """Where the page of a run lies, seen from the folder of this page; "" where there is none."""
    page = workdir / PAGE
    if not page.is_file():
        return ""
    relative = os.path.relpath(page.absolute(), folder.absolute())
    return Path(relative).as_posix()


def _charts(
    plan: Plan, outcomes: list[Outcome], names: list[str], colours: Sequence[str]
) -> Iterator[Markup]:
    label = f"validation {metric_label(plan.metric)}"
    with chart_style():
        figure, axes = new_figure("step", label)
        draw_curves(axes, plan, outcomes, names, colours)
        axes.set_ylabel(label)
        ends = [f"{run.name} {one.best}" for run, one in zip(plan.runs, outcomes, strict=True)]
        yield svg(figure, f"{label} over the steps of each run; the best: {', '.join(ends)}")
        if len(names) > _MOST_PANELS:  # These runs are not of one plan.
            return
        for key, name in zip(plan.keys, names, strict=True):
            figure, axes = new_figure(name, f"best {label}")
            draw_field(axes, plan, outcomes, key, colours)
            yield svg(figure, f"Best {label} of each run against {name}, as in the table")
