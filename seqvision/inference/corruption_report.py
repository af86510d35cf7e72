"""The report on a run under corruptions: a table for people, and a JSON file in its workdir."""

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
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
from seqvision.runs.records import NUMBER, read_record
from seqvision.runs.saved_run import Run
from seqvision.runtime.console import aligned
from seqvision.runtime.progress import Progress
from seqvision.tasks.base import Metrics

_METRICS = {"error": "error", "cer": "CER"}
_MAYBE = (*NUMBER, type(None))
_ROW = {
    "strengths": [NUMBER],
    "errors": [NUMBER],
    "mean_error": NUMBER,
    "reference_errors?": [NUMBER],
    "ce?": _MAYBE,
}
_SHAPE = {
    **{"split": str, "count": int, "step": int, "metric": str, "steps": str},
    **{"clean_error": NUMBER, "mean_error": NUMBER, "corruptions": {"*": _ROW}},
    **{"reference_clean_error?": NUMBER, "reference_mean_error?": NUMBER, "mce?": _MAYBE},
    "*": object,
}


def corruption_report(
    run: Run,
    split: Split,
    split_name: str,
    names: tuple[str, ...],
    batch_size: int,
    clean: Metrics,
    reference: Run | None,
    changes: Mapping[str, Any] = MappingProxyType({}),
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
      changes: see `runs.evaluations.evaluation_changes`.

    Yields:
      Lines for people.

    Raises:
      UserError: see `corruption_table.check_layout`; or the file cannot be written.
    """
    runs = [run, reference] if reference else [run]
    layouts = [check_layout(each) for each in runs]
    metric = "cer" if run.task.reads_lines else "error"
    yield f"{_METRICS[metric]} of {split_name}, corrupted along {layouts[0].name}"
    progress = Progress(len(runs), "corrupted examples for", "evaluation", "all")
    tables = [corruption_table(run, split, names, batch_size, progress, clean)]
    if reference:
        tables.append(corruption_table(reference, split, names, batch_size, progress))
    record: dict[str, Any] = {
        "split": split_name,
        "count": len(split),
        "step": run.step,
        "seed": SEED,
        "metric": metric,
        "steps": layouts[0].name,
        "changes": dict(changes),
    }
    if reference:
        record |= {
            "reference": str(reference.workdir),
            "reference_step": reference.step,
            "reference_steps": layouts[1].name,
        }
    record |= _record(tables)
    yield from aligned(corruption_rows(record))
    yield from corruption_words(record)
    target = corruption_file(run, split_name)
    try:
        write_json(target, record)
    except OSError as error:
        raise UserError(explain_os_error(error, run.workdir, "--workdir")) from error
    yield f"written to {target}"


def corruption_file(run: Run, split_name: str) -> Path:
    """Where the errors of a split are kept; of a run of several seeds, those of this one."""
    several = f"-seed-{run.seed}" if run.settings.num_seeds > 1 else ""
    return run.workdir / f"corruptions-{split_name}{several}.json"


def read_corruptions(run: Run, split_name: str) -> dict[str, Any] | None:
    """The record of a split; None where there is none.

    Raises:
      UserError: it is damaged.
    """
    path = corruption_file(run, split_name)
    return read_record(path, _SHAPE) if path.exists() else None


def corruption_rows(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table of a record as text, its head first."""
    header = ("corruption", "strengths", "weak", "medium", "strong", "mean")
    compared = "reference" in record
    rows: list[tuple[str, ...]] = [(*header, *["reference", "CE"] * compared)]
    for name, row in record["corruptions"].items():
        strengths = ", ".join(f"{100 * strength:g}" for strength in row["strengths"]) + " %"
        figures = [f"{error:.2%}" for error in (*row["errors"], row["mean_error"])]
        if compared:
            figures += [f"{statistics.fmean(row['reference_errors']):.2%}", _ratio(row["ce"])]
        rows.append((name, strengths, *figures))
    return rows


def corruption_words(record: Mapping[str, Any]) -> Iterator[str]:
    """What stands below that table."""
    metric = _METRICS[record["metric"]]
    clean = f"(clean {record['clean_error']:.2%})"
    yield f"mean {metric} under corruption  {record['mean_error']:.2%} {clean}"
    if "reference" not in record:
        return
    clean = f"(clean {record['reference_clean_error']:.2%})"
    yield f"of the reference  {record['reference_mean_error']:.2%} {clean}"
    why = " (the reference makes no error under one of them)" if record["mce"] is None else ""
    yield f"mean corruption error (mCE)  {_ratio(record['mce'])}{why}"
    other = record["reference_steps"]
    along = f", corrupted along {other}" if other != record["steps"] else ""
    yield f"reference: {record['reference']}, step {record['reference_step']}{along}"


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
