"""The page of one run: which sections it has, in their order."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from seqvision.data.dataset import Dataset, Split
from seqvision.models.parameters import named_leaves
from seqvision.reports.charts import svg
from seqvision.reports.classifier_sections import classifier_sections
from seqvision.reports.corruptions import corruption_sections
from seqvision.reports.curves import curve_figure, curve_names, curve_words
from seqvision.reports.facts import (
    Records,
    changed_fields,
    command_of,
    cost_rows,
    environment_rows,
    network_words,
    result_rows,
    status_words,
)
from seqvision.reports.label_sections import label_sections
from seqvision.reports.number_sections import number_sections
from seqvision.reports.page import Section, fill, write_page
from seqvision.reports.reader_sections import reader_sections
from seqvision.reports.step_sections import step_sections
from seqvision.reports.symbols import visible
from seqvision.runs.header import parameter_table, residence
from seqvision.runs.saved_run import Run
from seqvision.tasks.base import Task
from seqvision.tasks.classification import Classification
from seqvision.tasks.multi_label import MultiLabel
from seqvision.tasks.reading import TextReading
from seqvision.tasks.regression import Regression
from seqvision.tasks.step_classification import StepClassification

_LONGEST = 60
_CURVES = 4
"""So many are seen at once."""

Sections = Callable[[Run, Split, str], Iterator[Section]]
"""Of a run, the examples that are looked at, and the name of their split."""

# More sections of a kind of run are added here; a task that is not named has none of its own.
TASK_SECTIONS: dict[type[Task], tuple[Sections, ...]] = {
    Classification: (classifier_sections,),
    TextReading: (reader_sections,),
    StepClassification: (step_sections,),
    MultiLabel: (label_sections,),
    Regression: (number_sections,),
}

# What each is to say of an example.
_TASKS: dict[type[Task], str] = {
    Classification: "a class for each {}",
    TextReading: "the text of each line",
    StepClassification: "a class for each frame",
    MultiLabel: "several labels for each {}",
    Regression: "a number for each {}",
}


def write_run_page(path: Path, run: Run, dataset: Dataset, split: str) -> None:
    """Writes the page of a run.

    Args:
      path: the HTML file.
      run: a trained run.
      dataset: what it was trained on.
      split: which examples are looked at.

    Raises:
      OSError: it cannot be written.
    """
    records = Records.read(run.workdir)
    of_seed = f", seed {run.seed}" if run.settings.num_seeds > 1 else ""
    of_task: list[Section] = []
    for examined in TASK_SECTIONS.get(type(run.task), ()):
        of_task += examined(run, dataset.split(split), split)
    found = {name: value for section in of_task for name, value in section.metrics.items()}
    sections = [headline(records, run, split, found), *_curves(records), *of_task]
    sections += corruption_sections(run)
    sections.append(_costs(records, run, dataset))
    subtitle = (
        f"{dataset.title}: {_task_words(run, dataset)}. {len(dataset.split(split)):,} {split}"
        f" examples, weights of step {run.step:,}{of_seed}"
    )
    write_page(path, run.workdir.absolute().name, subtitle, sections)


def _task_words(run: Run, dataset: Dataset) -> str:
    """What the network is to say."""
    words = _TASKS.get(type(run.task), "what is asked of each {}").format(
        "clip" if len(dataset.input_shape) == 4 else "image"
    )
    names = ", ".join(map(visible, run.data.class_names))
    return f"{words} ({names})" if 0 < len(names) <= _LONGEST else words


def headline(records: Records, run: Run, split: str, found: Mapping[str, float]) -> Section:
    """The final result; where there is none yet, what this page found."""
    metrics, pending = records.status.get("metrics", {}), ""
    if not metrics:
        metrics = {split: found} if found else {}
        pending = f"The run has no final result yet: it is {status_words(records)}."
        if found:
            pending += f" The figures above are by this page, at step {run.step:,}."
    body = fill(
        "headline.html",
        results=result_rows(metrics),
        pending=pending,
        network=network_words(records.settings),
        command=command_of(records),
        changed=changed_fields(records.settings),
    )
    return Section("result", "Result", body)


def _curves(records: Records) -> Iterator[Section]:
    rows = [row for row in records.rows if row["split"] in ("train", "validation")]
    charts = [svg(curve_figure(rows, name), curve_words(rows, name)) for name in curve_names(rows)]
    if charts:
        body = fill("charts.html", words=[], charts=charts[:_CURVES], more=charts[_CURVES:])
        yield Section("curves", "Learning curves", body)


def _costs(records: Records, run: Run, dataset: Dataset) -> Section:
    total = sum(leaf.size for _, leaf in named_leaves(run.params))
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits.items())
    data = {
        "set": dataset.title,
        "examples": sizes,
        "shape": " x ".join(map(str, dataset.input_shape)),
        run.task.outputs.split(",")[0]: f"{dataset.num_classes}",
        "size": residence(dataset),
        **{f"sha256 of {name}": value for name, value in dataset.fingerprints.items()},
    }
    if text := str(dataset.tones):
        data["values"] = text
    tables = [
        ("Cost", cost_rows(records, total)),
        ("Data", data),
        ("Environment", environment_rows(records)),
    ]
    body = fill("facts.html", tables=tables, parameters="\n".join(parameter_table(run.params)))
    return Section("facts", "Cost, data, environment", body)
