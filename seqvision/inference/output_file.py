"""Predictions as the rows of a .csv or .jsonl file."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.errors import UserError, explain_os_error
from seqvision.inference.predictions import Prediction, Transcription, WindowPrediction
from seqvision.runs.files import write_whole

FORMATS = (".csv", ".jsonl")


def checked_output(output: str) -> Path | None:
    """The path of an output file, checked before any work is done for it; None for "".

    Raises:
      UserError: an unknown ending, or no such folder.
    """
    if not output:
        return None
    target = Path(output)
    if target.suffix not in FORMATS:
        raise UserError(
            f"--output: '{output}' ends in '{target.suffix}'; choose {' or '.join(FORMATS)}"
        )
    if not target.parent.is_dir():
        raise UserError(f"--output: the folder {target.parent} does not exist; make it first")
    return target


def prediction_row(prediction: Prediction | None, class_names: tuple[str, ...]) -> dict[str, Any]:
    """A prediction as plain values; all None where there is none."""
    if prediction is None:
        return {"classes": None, "label": None, "probabilities": None}
    row = _plain(prediction, class_names)
    if "windows" in prediction:
        row["windows"] = [
            {"frames": list(window["frames"]), **_plain(window, class_names)}
            for window in prediction["windows"]
        ]
    return row


def transcription_row(transcription: Transcription | None) -> dict[str, Any]:
    """The text of a line as plain values; all None where there is none."""
    if transcription is None:
        return {"text": None, "confidences": None, "ends": None}
    confidences = np.round(transcription["confidences"].astype(np.float64), 4).tolist()
    ends = transcription["ends"].tolist()
    return {"text": transcription["text"], "confidences": confidences, "ends": ends}


def _plain(
    prediction: Prediction | WindowPrediction, class_names: tuple[str, ...]
) -> dict[str, Any]:
    plain = {
        "classes": prediction["classes"],
        "label": class_names[prediction["classes"]],
        "probabilities": _rounded(prediction["probabilities"]),
    }
    return plain | ({"steps": _rounded(prediction["steps"])} if "steps" in prediction else {})


def _rounded(probabilities: np.ndarray) -> Any:
    return np.round(probabilities.astype(np.float64), 6).tolist()


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
