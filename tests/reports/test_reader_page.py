"""The page of a reader, beside plain Python on the rows that `--mode=predict` writes."""

import collections
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.predict import predict_files
from seqvision.report import write_report
from seqvision.reports.line_drawing import draw_lines
from seqvision.reports.symbols import (
    ReadLine,
    TextMistake,
    errors_by_length,
    mistake_words,
    mistakes,
    symbol_marks,
)
from seqvision.runs.saved_run import load_run
from seqvision.runs.trained_data import load_trained_on
from tests.inference.lines import TEXTS
from tests.reports.parsing import Page


def distance(read: str, written: str) -> int:
    """The fewest edits, by the table of Wagner and Fischer."""
    table = np.add.outer(np.arange(len(read) + 1), np.arange(len(written) + 1))
    for i, one in enumerate(read, 1):
        for j, other in enumerate(written, 1):
            least = min(table[i - 1, j] + 1, table[i, j - 1] + 1)
            table[i, j] = min(least, table[i - 1, j - 1] + (one != other))
    return int(table[-1, -1])


@pytest.fixture(scope="module")
def page(lines: Path) -> Page:
    """Of the four training lines, which are more than the one of the test split."""
    return Page(write_report(lines / "run", lines / "page.html", split="train").read_text())


@pytest.fixture(scope="module")
def rows(lines: Path) -> list[dict[str, Any]]:
    output = lines / "rows.jsonl"
    assert predict_files(lines / "run", str(lines / "images/*.png"), str(output), "auto") == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return [row | {"truth": text} for row, text in zip(rows, TEXTS, strict=True)][:4]


def test_the_texts_and_errors_are_those_of_the_predictions(page: Page, rows: Any) -> None:
    edits = {row["truth"]: distance(row["text"], row["truth"]) for row in rows}
    assert sum(edits.values()) > 0
    for row in rows:
        end = "as it is written" if edits[row["truth"]] == 0 else f"written is '{row['truth']}'"
        assert f"read as '{row['text']}', {end}" in page.text
    [table] = [table for table in page.tables if table[0] == ["written", "read as", "times"]]
    assert sum(int(times) for *_, times in table[1:]) == sum(edits.values())
    for half, name in (([1], "1 symbol"), ([2, 5], "2 to 5 symbols")):
        chosen = [row["truth"] for row in rows if len(row["truth"]) in half]
        rate = sum(edits[text] for text in chosen) / sum(map(len, chosen))
        assert f"{rate:.2%} in lines of {name}" in page.text
    assert page.problems == []


def test_letters_stand_where_their_columns_are(lines: Path) -> None:
    run = load_run(lines / "run")
    split = load_trained_on(run, run.settings).split("train")
    for number, drawing in enumerate(draw_lines(run, split, range(4))):
        text = TEXTS[number]
        assert "".join(letter.text for letter in drawing.written) == text.replace(" ", "␣")
        places = [letter.x for letter in drawing.written]
        assert places == sorted(places)
        x, _, width, _ = drawing.picture
        assert width == 2 * (4 + 8 * len(text))
        assert all(x <= place <= drawing.width for place in places)
        assert len(drawing.spikes) == len(drawing.read)
        for path, _ in drawing.spikes:
            heights = [float(height) for height in re.findall(r"h2v([\d.]+)", path)]
            assert 0.4 <= max(heights) <= 40


def test_mistakes_by_hand() -> None:
    found = mistakes(
        [
            ReadLine("cat", "cut", np.ones(3)),
            ReadLine("cat", "cut", np.ones(3)),
            ReadLine("ab ", "ab", np.ones(3)),
            ReadLine("a", "ac", np.ones(1)),
        ]
    )
    assert found == [TextMistake("u", "a", 2), TextMistake("", " ", 1), TextMistake("c", "", 1)]
    assert [mistake_words(one) for one in found] == [
        "'u' was read as 'a' 2 times.",
        "a space was read once where nothing is written.",
        "'c' was missed once.",
    ]


def test_marks_and_lengths_by_hand() -> None:
    lines = [
        ReadLine("cat", "cut", np.array([0.9, 0.6, 0.8])),
        ReadLine("", "cut", np.zeros(0)),
        ReadLine("x", "x", np.array([0.7])),
    ]
    sure, right = symbol_marks(lines)
    assert sure.tolist() == [0.9, 0.6, 0.8, 0.7]
    assert right.tolist() == [True, False, True, True]
    assert errors_by_length(lines) == {1: (0.0, 1), 3: (4 / 6, 2)}


def test_edits_are_counted_as_one_by_one(rng: np.random.Generator) -> None:
    texts = ["".join(rng.choice(list("abc"), size)) for size in rng.integers(0, 7, 40)]
    lines = [
        ReadLine(read, truth, np.ones(len(read)))
        for read, truth in zip(texts[:20], texts[20:], strict=True)
    ]
    total = sum(distance(line.text, line.truth) for line in lines)
    assert sum(one.number for one in mistakes(lines)) == total
    counts = collections.Counter(len(line.truth) for line in lines)
    assert {n: count for n, (_, count) in errors_by_length(lines).items()} == counts
