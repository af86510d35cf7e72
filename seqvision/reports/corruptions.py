"""The section about a run under corruptions: what `--mode=evaluate --corrupt` found."""

from collections.abc import Iterable, Iterator
from typing import Any

from seqvision.data.dataset import SPLITS
from seqvision.inference.corruption_report import (
    corruption_rows,
    corruption_words,
    read_corruptions,
)
from seqvision.reports.page import Section, fill
from seqvision.runs.saved_run import Run

# Of n steps, or of the picture; the strength is in the table.
WORDS = {
    "drop": "steps are lost, and those behind them move up",
    "repeat": "steps come twice",
    "swap": "neighbouring steps change places",
    "delay": "from some step on, all come later, after empty ones",
    "gain_drift": "brightness drifts up or down from the first step to the last",
    "noise": "each value gets noise of its own",
    "shift": "the picture moves to one side",
    "occlusion": "a black square covers a part",
}


def corruption_sections(run: Run) -> Iterator[Section]:
    """One section about all splits that were evaluated so; none where none was."""
    found = [record for split in SPLITS if (record := read_corruptions(run, split)) is not None]
    if found:
        body = fill("corruptions.html", tables=[_table(run, record) for record in found])
        yield Section("corruptions", "Under corruptions", body)


def _table(run: Run, record: dict[str, Any]) -> dict[str, Any]:
    head, *rows = corruption_rows(record)
    metric = "Character error rate" if record["metric"] == "cer" else "Fraction of wrong classes"
    title = f"{metric} of {record['count']:,} {record['split']} examples"
    sentences = (" ".join(sentence.split()) for sentence in corruption_words(record))
    words = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences]
    if changes := record.get("changes"):
        fields = ", ".join(f"{name}={value}" for name, value in changes.items())
        words.append(f"Evaluated otherwise than trained: {fields}.")
    if record["step"] != run.step:
        words.append(
            f"These are errors of the weights of step {record['step']:,}, and the page is about"
            f" those of step {run.step:,}: evaluate it again."
        )
    errors = record["corruptions"].values()
    shares = [_shares(row["errors"]) for row in errors]
    title += f", corrupted along {record['steps']}"
    return {
        "title": title,
        "words": " ".join(words),
        "head": head,
        "rows": list(_cells(rows, shares)),
        "kinds": [(row[0], WORDS[row[0]]) for row in rows],
    }


def _shares(errors: Iterable[float]) -> list[str]:
    """How dark the cells of some errors are: an error of 1 % is to be seen beside one of 90 %."""
    return [f"{0.5 * min(1.0, error) ** 0.5:.2f}" for error in errors]


def _cells(
    rows: Iterable[tuple[str, ...]], shares: Iterable[list[str]]
) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Of each row: name, strengths, and the other cells, each with how dark it is."""
    for (name, strengths, *cells), dark in zip(rows, shares, strict=True):
        padded = [*dark, *[""] * (len(cells) - len(dark))]
        yield name, strengths, list(zip(cells, padded, strict=True))
