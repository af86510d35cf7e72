"""Predictions for the user's files, one row each: `--mode=predict`."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from tqdm import tqdm

from seqvision.config import command_line
from seqvision.config.data_schema import DECODING_FIELDS
from seqvision.config.schema import Settings
from seqvision.data.files.doubts import NOTHING_READ
from seqvision.data.files.images import check_inversion
from seqvision.errors import UserError
from seqvision.inference.input_processes import FileProcesses, file_processes, read_in_processes
from seqvision.inference.inputs import Input, check_pattern, find_inputs
from seqvision.inference.output_file import checked_output, write_rows
from seqvision.inference.predictor import Predictor
from seqvision.inference.transcriber import Transcriber
from seqvision.runs.saved_run import check_lines_are_scaled, load_run, with_decoding
from seqvision.runtime.console import on_terminal, say


def predict_files(
    workdir: Path,
    inputs: str,
    output: str,
    invert: str,
    seed: int | None = None,
    decoding: Mapping[str, Any] = MappingProxyType({}),
    csv_guard: bool = True,
    to_scale: bool = True,
    calibrated: bool = False,
    processes: FileProcesses | None = None,
) -> int:
    """Classifies (or transcribes) files and writes one row for each, in the order of their names.

    Args:
      workdir: a trained run.
      inputs: a glob pattern, such as `digits/*.png`; see `inference.inputs`.
      output: a `.csv` or `.jsonl` file, written whole or not at all; "" prints CSV.
      invert: see `data.files.images.read_image`.
      seed: of a run of several seeds, whose weights; by default those of the first.
      decoding: `beam_width`, `prior` and `prior_weight` of `config.reading`, where they are not to
        be those of the run.
      csv_guard: see `inference.output_file.write_rows`.
      to_scale: whether lines are brought to the scale of the training lines; see
        `data.files.line_scale`.
      calibrated: whether probabilities are at the temperature that was fitted to the run.
      processes: that read the files; by default this one does.

    Returns:
      The number of inputs that could not be read; each has a row with its error.

    Raises:
      UserError: nothing matches, no trained run, or the output cannot be written.
    """
    check_inversion(invert)
    target = checked_output(output)
    check_pattern(inputs)
    trained = with_decoding(load_run(workdir, seed), decoding)
    if calibrated and trained.task.reads_lines:
        raise UserError(
            f"--calibrated: it has no effect on {workdir}, which reads text; leave it out"
        )
    if not to_scale:
        check_lines_are_scaled(trained)
        trained = dataclasses.replace(trained, data=dataclasses.replace(trained.data, looks=None))
    paths = find_inputs(inputs, trained.data.of_clips)
    predictor: Transcriber | Predictor
    if trained.task.reads_lines:
        predictor = Transcriber(trained)
    else:
        predictor = Predictor(trained, calibrated=calibrated)
    with tqdm(total=len(paths), unit="file", disable=not on_terminal(), leave=False) as bar:
        found = read_in_processes(predictor.file_reader(invert), paths, processes, bar.update)
        rows = _rows(found, predictor, trained.task.prediction_row)
    failed = sum(1 for row in rows if row["error"])
    write_rows(rows, target, csv_guard)
    if target is not None:
        say(f"{len(rows) - failed} predictions written to {target}")
    for row in rows:
        if row["error"]:
            print(f"unreadable: {row['file']}: {row['error']}", file=sys.stderr)
        elif row["doubtful"]:
            print(f"doubtful: {row['file']}: {row['doubtful']}", file=sys.stderr)
    return failed


def _rows(
    inputs: Iterable[Input],
    predict: Callable[[Iterator[np.ndarray]], Iterable[Any]],
    row_of: Callable[[Any], dict[str, Any]],
) -> list[dict[str, Any]]:
    """One row for each input, in order; inputs are read a batch at a time."""
    names: list[str] = []
    errors: list[str | None] = []
    doubts: list[str | None] = []

    def readable() -> Iterator[np.ndarray]:
        for name, array, error, doubt in inputs:
            names.append(name)
            doubts.append(doubt)
            errors.append((error or "unreadable") if array is None else None)
            if array is not None:
                yield array

    # All are read before the first row, so that `errors` is complete.
    predicted = iter(list(predict(readable())))
    rows = []
    for name, error, doubt in zip(names, errors, doubts, strict=True):
        row = row_of(None if error else next(predicted))
        if row.get("text") == "":
            doubt = NOTHING_READ
        rows.append({"file": name, **row, "doubtful": doubt, "error": error})
    return rows


def run(
    settings: Settings,
    workdir: Path,
    inputs: str,
    output: str,
    csv_guard: bool,
    invert: str,
    seed: int | None,
    to_scale: bool,
    calibrated: bool,
) -> int:
    """`--mode=predict`, with the settings of the run; returns the exit code."""
    overrides = command_line.config_overrides()
    decoding = {
        name: getattr(settings.reading, name)
        for name in DECODING_FIELDS
        if f"reading.{name}" in overrides
    }
    # A pattern that is wrong is refused before processes are started.
    with file_processes(check_pattern(inputs)) as processes:
        failed = predict_files(
            workdir,
            inputs,
            output,
            invert,
            seed,
            decoding,
            csv_guard,
            to_scale,
            calibrated,
            processes,
        )
    return min(1, failed)
