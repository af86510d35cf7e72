"""The report on a run under corruptions: a table for people, and a JSON file in its workdir."""

from collections.abc import Iterator
from typing import Any

from seqvision.data.corruptions import STRENGTHS
from seqvision.data.dataset import Split
from seqvision.errors import UserError, explain_os_error
from seqvision.inference.corruption_table import (
    SEED,
    CorruptionTable,
    check_layout,
    corruption_errors,
    corruption_table,
)
from seqvision.runs.files import write_json
from seqvision.runs.saved_run import Run
from seqvision.runtime.console import aligned
from seqvision.runtime.progress import Progress
from seqvision.tasks.base import Metrics


def corruption_report(
    run: Run,
    split: Split,
    split_name: str,
    names: tuple[str, ...],
    batch_size: int,
    clean: Metrics,
    reference: Run | None,
) -> Iterator[str]:
    """Evaluates a run, and one to compare to, on a corrupted split; writes it to the run's workdir.

    Args:
      run: a trained run.
      split: labelled examples.
      split_name: what they are called.
      names: some of `data.corruptions.STRENGTHS`.
      batch_size: the most examples in one step.
      clean: the run's metrics on the split as it is.
      reference: a run that reads the same examples.

    Yields:
      Lines for people.

    Raises:
      UserError: see `corruption_table.check_layout`; or the file cannot be written.
    """
    runs = [run, reference] if reference else [run]
    layouts = [check_layout(each) for each in runs]
    metric = "CER" if run.task.reads_lines else "error"
    yield f"{metric} of {split_name}, corrupted along {layouts[0].name}"
    progress = Progress(len(runs), "corrupted examples for", "evaluation", "all")
    tables = [corruption_table(run, split, names, batch_size, progress, clean)]
    if reference:
        tables.append(corruption_table(reference, split, names, batch_size, progress))
    yield from _lines(tables, metric)
    if reference:
        along = f", corrupted along {layouts[1].name}" if layouts[1] != layouts[0] else ""
        yield f"reference: {reference.workdir}, step {reference.step}{along}"
    record = {
        "split": split_name,
        "count": len(split),
        "step": run.step,
        "seed": SEED,
        "metric": metric.lower(),
        "steps": layouts[0].name,
    }
    if reference:
        record |= {
            "reference": str(reference.workdir),
            "reference_step": reference.step,
            "reference_steps": layouts[1].name,
        }
    several = f"-seed-{run.seed}" if run.settings.num_seeds > 1 else ""
    target = run.workdir / f"corruptions-{split_name}{several}.json"
    try:
        write_json(target, record | _record(tables))
    except OSError as error:
        raise UserError(explain_os_error(error, run.workdir, "--workdir")) from error
    yield f"written to {target}"


def _lines(tables: list[CorruptionTable], metric: str) -> Iterator[str]:
    table, *others = tables
    header = ("corruption", "strengths", "weak", "medium", "strong", "mean")
    rows: list[tuple[str, ...]] = [(*header, *["reference", "CE"] * len(others))]
    each, mean = corruption_errors(table, others[0]) if others else ({}, None)
    for name, errors in table.errors.items():
        strengths = ", ".join(f"{strength / 10:g}" for strength in STRENGTHS[name]) + " %"
        figures = [f"{error:.2%}" for error in (*errors, table.mean(name))]
        for other in others:
            figures += [f"{other.mean(name):.2%}", _ratio(each[name])]
        rows.append((name, strengths, *figures))
    yield from aligned(rows)
    yield f"mean {metric} under corruption  {table.mean_error:.2%} (clean {table.clean:.2%})"
    for other in others:
        yield f"of the reference  {other.mean_error:.2%} (clean {other.clean:.2%})"
        why = " (the reference makes no error under one of them)" if mean is None else ""
        yield f"mean corruption error (mCE)  {_ratio(mean)}{why}"


def _ratio(ratio: float | None) -> str:
    return "undefined" if ratio is None else f"{ratio:.1%}"


def _record(tables: list[CorruptionTable]) -> dict[str, Any]:
    """The tables as plain values; fractions, not percent."""
    table, *others = tables
    each, mean = corruption_errors(table, others[0]) if others else ({}, None)
    record: dict[str, Any] = {"clean_error": table.clean, "mean_error": table.mean_error}
    for other in others:
        record |= {
            "reference_clean_error": other.clean,
            "reference_mean_error": other.mean_error,
            "mce": mean,
        }
    rows: dict[str, Any] = {}
    for name, errors in table.errors.items():
        rows[name] = {
            "strengths": [strength / 1000 for strength in STRENGTHS[name]],
            "errors": list(errors),
            "mean_error": table.mean(name),
        }
        for other in others:
            rows[name] |= {"reference_errors": list(other.errors[name]), "ce": each[name]}
    return record | {"corruptions": rows}
