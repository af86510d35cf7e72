"""Predictions as the rows of a .csv or .jsonl file."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from seqvision.config.user_path import expanded
from seqvision.errors import UserError, explain_os_error
from seqvision.runs.files import write_whole

FORMATS = (".csv", ".jsonl")


def checked_output(output: str) -> Path | None:
    """The path of an output file, checked before any work is done for it; None for "".

    Raises:
      UserError: an unknown ending, or no such folder.
    """
    if not output:
        return None
    target = expanded(output, "--output")
    if target.suffix not in FORMATS:
        raise UserError(
            f"--output: '{output}' ends in '{target.suffix}'; choose {' or '.join(FORMATS)}"
        )
    if not target.parent.is_dir():
        raise UserError(f"--output: the folder {target.parent} does not exist; make it first")
    return target


def write_rows(rows: list[dict[str, Any]], target: Path | None) -> None:
    """Writes the file whole or not at all; prints CSV where there is none.

    Raises:
      UserError: it cannot be written.
    """
    text = _as_jsonl(rows) if target and target.suffix == ".jsonl" else _as_csv(rows)
    if target is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(target, text)
    except OSError as error:
        raise UserError(explain_os_error(error, target.parent, "--output")) from error


def _as_jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """CSV with a header; lists become JSON in their cell."""
    buffer = io.StringIO()
    columns = max((list(row) for row in rows), key=len)
    writer = csv.DictWriter(buffer, fieldnames=columns)
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
                for key, value in row.items()
            }
        )
    return buffer.getvalue()
