"""The page of a classifier, beside numpy on the rows that `--mode=predict` writes."""

import base64
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqvision import report
from seqvision.predict import predict_files
from seqvision.report import write_report
from seqvision.reports.beliefs import step_accuracy
from seqvision.reports.examined import examine
from seqvision.runs.saved_run import load_run
from seqvision.runs.trained_data import load_trained_on
from seqvision.train import run as train
from tests.reports.conftest import NAMES
from tests.reports.parsing import Page


def number_of(name: str) -> int:
    """The place of an example in the array that its name ends in."""
    return int(re.findall(r"\[(\d+)\]", name)[-1])


@pytest.fixture(scope="module")
def rows(classifier: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What prediction says of the test examples, and what they are."""
    output = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    assert predict_files(classifier, str(images), str(output), "auto") == 0
    predicted = [json.loads(line) for line in output.read_text().splitlines()]
    run = load_run(classifier)
    chosen = map(number_of, load_trained_on(run, run.settings).split("test").names)
    with np.load(images) as file:
        labels = file["labels"].tolist()
    return [predicted[number] | {"truth": labels[number]} for number in chosen]


def test_the_confusions_are_those_of_the_predictions(classifier_page: str, rows: Any) -> None:
    page = Page(classifier_page)
    matrix = np.zeros((4, 4), int)
    for row in rows:
        matrix[row["truth"], row["classes"]] += 1
    [table] = [table for table in page.tables if table[0][0].startswith("is")]
    assert table[0][1:-1] == list(NAMES)
    assert [[int(cell) for cell in row[1:-1]] for row in table[1:]] == matrix.tolist()
    wrong = sorted(
        ((count, truth, says) for (truth, says), count in np.ndenumerate(matrix) if truth != says),
        key=lambda one: (-one[0], one[1:]),
    )
    right, total = int(np.trace(matrix)), len(rows)
    assert f"{right} of {total} test examples are right ({right / total:.2%})" in page.text
    assert wrong[0][0] > 0  # The network has learnt a little, and not all.
    for count, truth, says in wrong[:3]:
        words = (
            f"{NAMES[truth]} was taken for {NAMES[says]}: {count} of {matrix[truth].sum()} times"
        )
        assert words in page.text


def test_the_calibration_is_that_of_the_predictions(classifier_page: str, rows: Any) -> None:
    confidence = np.array([max(row["probabilities"]) for row in rows])
    right = np.array([row["classes"] == row["truth"] for row in rows])
    ece = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    page = Page(classifier_page)
    [bins] = [table for table in page.tables if table[0][0] == "how sure"]
    for edges, count, mean, fraction in bins[1:]:
        low, high = (float(end.rstrip("%")) / 100 for end in edges.split(" to "))
        inside = (confidence > low - 1e-4) & (confidence <= high - 1e-4)
        assert (int(count), fraction) == (inside.sum(), f"{right[inside].mean():.2%}")
        assert float(mean.rstrip("%")) == pytest.approx(100 * confidence[inside].mean(), abs=0.02)
    assert sum(int(row[1]) for row in bins[1:]) == len(rows)
    text = page.text
    assert f"it is {confidence.mean():.2%} sure and {right.mean():.2%} right" in text
    assert f"Expected calibration error: {ece:.2%}." in text


def test_the_accuracy_after_each_step_is_that_of_the_predictions(
    classifier: Path, classifier_page: str, rows: Any
) -> None:
    steps = np.array([row["steps"] for row in rows])  # (N, T, K)
    truth = np.array([row["truth"] for row in rows])
    expected = (steps.argmax(axis=-1) == truth[:, None]).mean(axis=0)
    run = load_run(classifier)
    split = load_trained_on(run, run.settings).split("test")
    found = examine(run, split, "test")
    assert found.beliefs is not None
    np.testing.assert_allclose(step_accuracy(found.beliefs).accuracy, expected)
    words = f"With all 8 rows {expected[-1]:.2%} are right. With the first 4, it is"
    assert f"{words} {expected[3]:.2%}" in Page(classifier_page).text
    np.testing.assert_array_equal(found.predicted, [row["classes"] for row in rows])


def test_the_examples_are_the_surest_mistakes_and_the_least_sure(
    classifier_page: str, rows: Any, images: Path
) -> None:
    wrong = [row for row in rows if row["classes"] != row["truth"]]
    wrong.sort(key=lambda row: -max(row["probabilities"]))
    shown = [number_of(name) for name in re.findall(r"<h4>test (.*?):? <", classifier_page)]
    numbers = [number_of(row["file"]) for row in wrong[:6]]
    assert shown[:6] == numbers
    rest = sorted(rows, key=lambda row: max(row["probabilities"]))
    unsure = [number_of(row["file"]) for row in rest]
    assert shown[6:] == [number for number in unsure if number not in numbers][:6]
    # The picture of the first is that example.
    address = re.search(r'href="data:image/png;base64,([^"]+)"', classifier_page)
    assert address is not None
    with Image.open(io.BytesIO(base64.b64decode(address[1]))) as picture, np.load(images) as file:
        np.testing.assert_array_equal(np.asarray(picture), file["images"][numbers[0]])


def test_a_page_needs_nothing_else(classifier_page: str) -> None:
    page = Page(classifier_page)
    assert page.problems == []
    task = f"a class for each image ({', '.join(NAMES)}). 61 test examples, weights of step"
    assert task in page.text
    assert len(classifier_page) < 3_000_000
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "i")
        for name in ("href", "src", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]
        if tag == "img":
            assert attributes["alt"]
    style = classifier_page[: classifier_page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "mathdefault" not in classifier_page
    anchors = {attributes.get("id") for tag, attributes in page.tags if tag == "section"}
    links = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert links == anchors


def test_the_same_run_gives_the_same_bytes(classifier: Path, classifier_page: str) -> None:
    (classifier / "other.html").unlink(missing_ok=True)
    path = write_report(classifier, classifier / "other.html")
    assert path.read_text() == classifier_page


def test_training_writes_the_page_that_is_missing_or_older(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    workdir = tmp_path / "copy"
    shutil.copytree(classifier, workdir, ignore=shutil.ignore_patterns("*.html"))
    page, settings = workdir / "report.html", load_run(workdir).settings

    def write(folder: Path) -> Path:
        page.write_text("a page")
        return page

    def train_again(report: bool) -> str:
        assert train(settings, workdir, "", False, False, report) == 0
        return capsys.readouterr().out

    monkeypatch.setattr(report, "write_report", write)
    assert "report" not in train_again(report=False)
    assert f"report    {page}\n" in train_again(report=True)
    assert "report" not in train_again(report=True)
    os.utime(page, (0, 0))
    assert f"report    {page}\n" in train_again(report=True)
    page.unlink()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "report    not written: jinja2 is missing" in train_again(report=True)
    assert not page.exists()
