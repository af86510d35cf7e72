"""Predictions and texts as rows of files."""

import csv
import json
import os
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


@pytest.mark.parametrize("guard", [True, False])
def test_text_that_a_spreadsheet_would_compute(tmp_path: Path, guard: bool) -> None:
    """The signs are those of OWASP's page on CSV injection."""
    texts = ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1", "", "'=1"]
    rows = [{"file": text, "number": -1.5, "list": ["=1"]} for text in texts]
    write_rows(rows, tmp_path / "x.csv", guard)
    with (tmp_path / "x.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    expected = [f"'{text}" for text in texts[:6]] + texts[6:] if guard else texts
    assert [row["file"] for row in found] == expected
    assert {(row["number"], row["list"]) for row in found} == {("-1.5", '["=1"]')}
    write_rows(rows, tmp_path / "x.jsonl", guard)
    assert [json.loads(row) for row in (tmp_path / "x.jsonl").read_text().splitlines()] == rows


def test_an_output_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to("folder/real.csv")
    for text in ("a", "b"):
        write_rows([{"file": text}], checked_output(str(tmp_path / "link.csv")))
        assert (tmp_path / "folder" / "real.csv").read_text().splitlines() == ["file", text]
    assert (tmp_path / "link.csv").is_symlink()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["real.csv"]


def test_an_output_of_the_longest_name(tmp_path: Path) -> None:
    for name in (f"{'x' * 251}.csv", f"{'é' * 125}.csv"):  # 255 and 254 bytes; 255 are allowed.
        write_rows([{"file": "a"}], checked_output(str(tmp_path / name)))
        assert (tmp_path / name).read_text().splitlines() == ["file", "a"]


def test_outputs_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "lost.csv").symlink_to("no/x.csv")
    for name in ("pipe.csv", "folder.csv", "loop.csv", "lost.csv"):
        with pytest.raises(UserError, match=r"^--output: "):
            checked_output(str(tmp_path / name))


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    assert checked_output("") is None
    assert checked_output(str(tmp_path / "x.csv")) == tmp_path / "x.csv"
    with pytest.raises(UserError, match=r"choose \.csv or \.jsonl"):
        checked_output("x.txt")
    with pytest.raises(UserError, match="does not exist; make it first"):
        checked_output(str(tmp_path / "no/x.csv"))
