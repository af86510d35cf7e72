"""Predictions and texts as rows of files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from seqvision.errors import UserError
from seqvision.inference.output_file import checked_output, write_rows
from seqvision.tasks.predictions import Prediction, Transcription, prediction_row
from seqvision.tasks.reading import TextReading

TEXT = Transcription(
    text="é,", confidences=np.array([0.25, 0.99999], np.float32), ends=np.array([3, 9])
)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_texts_and_errors_in_both_formats(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"file": "a.png", **TextReading(("a",), delay=0).prediction_row(TEXT), "error": None},
        {
            "file": "b.png",
            **TextReading(("a",), delay=0).prediction_row(None),
            "error": "it is blank",
        },
    ]
    target = tmp_path / f"texts{suffix}"
    write_rows(rows, target)
    if suffix == ".jsonl":
        found = [json.loads(row) for row in target.read_text().splitlines()]
        assert found == rows
        assert found[0]["confidences"] == [0.25, 1.0]
        return
    with target.open() as file:
        found = list(csv.DictReader(file))
    assert found[0] == {
        "file": "a.png", "text": "é,", "confidences": "[0.25, 1.0]", "ends": "[3, 9]", "error": "",
    }  # fmt: skip
    assert found[1]["error"] == "it is blank"
    assert found[1]["text"] == ""


def test_predictions_are_printed_where_no_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    prediction = Prediction(classes=1, probabilities=np.array([0.25, 0.75], np.float32))
    write_rows([prediction_row(prediction, ("no", "yes"))], None)
    assert capsys.readouterr().out.splitlines() == [
        "classes,label,probabilities",
        '1,yes,"[0.25, 0.75]"',
    ]


def test_the_home_folder_of_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checked_output("~/x.csv") == tmp_path / "x.csv"
    with pytest.raises(UserError, match=r"--output: .*'~nouser' is not known here"):
        checked_output("~nouser/x.csv")
    with pytest.raises(UserError, match=r"--output: .* no NUL"):
        checked_output("x\0.csv")


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    assert checked_output("") is None
    assert checked_output(str(tmp_path / "x.csv")) == tmp_path / "x.csv"
    with pytest.raises(UserError, match=r"choose \.csv or \.jsonl"):
        checked_output("x.txt")
    with pytest.raises(UserError, match="does not exist; make it first"):
        checked_output(str(tmp_path / "no/x.csv"))
