"""The page of a reader, beside plain Python on the rows that `--mode=predict` writes."""

import collections
import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.predict import predict_files
from seqvision.report import write_report
from seqvision.reports.facts import Records
from seqvision.reports.line_drawing import draw_lines
from seqvision.reports.reader_sections import reader_sections
from seqvision.reports.run_page import headline
from seqvision.reports.symbols import (
    ReadLine,
    TextMistake,
    aligned,
    errors_by_length,
    mistake_words,
    mistakes,
    symbol_marks,
    times,
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
    assert all(cell.strip() for row in table for cell in row)  # A space is ␣.
    for half, name in (([1], "1 symbol"), ([2, 5], "2 to 5 symbols")):
        chosen = [row["truth"] for row in rows if len(row["truth"]) in half]
        rate = sum(edits[text] for text in chosen) / sum(map(len, chosen))
        assert f"{rate:.2%} in lines of {name}" in page.text
    rate = sum(edits.values()) / sum(map(len, edits))
    right = list(edits.values()).count(0)
    words = f"of the 4 train lines: {rate:.2%}; {right} lines are without an error"
    assert words in page.text
    assert "own: the text of each line (␣, a, b). 4 train examples" in page.text
    assert page.problems == []


def test_an_interrupted_run_has_the_result_of_the_page(lines: Path, rows: Any) -> None:
    run = load_run(lines / "run")
    split = load_trained_on(run, run.settings).split("train")
    metrics = next(reader_sections(run, split, "train")).metrics
    edits = sum(distance(row["text"], row["truth"]) for row in rows)
    rate = edits / sum(len(row["truth"]) for row in rows)
    assert metrics == {"cer": pytest.approx(rate)}
    records = Records.read(run.workdir)
    records = records._replace(status={"status": "interrupted", "step": 60})
    text = Page(headline(records, run, "train", metrics).body).text
    assert text.startswith(f"train character error rate{rate:.2%}")
    assert "it is interrupted after 60 steps" in text
    assert "The figures above are by this page, at step 60." in text
    without = Page(headline(records, run, "train", {}).body).text
    assert "character error rate" not in without and "by this page" not in without


def test_letters_stand_where_their_columns_are(lines: Path) -> None:
    run = load_run(lines / "run")
    split = load_trained_on(run, run.settings).split("train")
    for number, drawing in enumerate(draw_lines(run, split, range(4))):
        text = TEXTS[number]
        assert "".join(letter.text for letter in drawing.written) == text.replace(" ", "␣")
        places = [letter.x for letter in drawing.written]
        assert places == sorted(places)
        x, _, width, _ = drawing.picture
        assert drawing.ticks[:1] == [(x + 1, 0)]
        middles = [x + 1 + 2 * column for column in drawing.columns_written]
        assert all(abs(m - place) <= 1 for m, place in zip(middles, places, strict=True))
        assert width == 2 * (4 + 8 * len(text))
        assert all(x <= place <= drawing.width for place in places)
        assert len(drawing.spikes) == len(drawing.read)
        for path, _ in drawing.spikes:
            heights = [float(height) for height in re.findall(r"h2v([\d.]+)", path)]
            assert 0.4 <= max(heights) <= 40


def test_words_and_picture_of_a_line_agree(lines: Path, page: Page) -> None:
    run = load_run(lines / "run")
    split = load_trained_on(run, run.settings).split("train")
    for drawing in draw_lines(run, split, range(4)):
        wrong = [pair for pair in drawing.line.pairs if not pair.is_right]
        reds = [letter.text for letter in drawing.read if not letter.is_right]
        missed = [letter.text for letter in drawing.written if not letter.is_right]
        assert reds == [pair.read.replace(" ", "␣") for pair in wrong if pair.read]
        assert missed == [pair.written.replace(" ", "␣") for pair in wrong if pair.written]
        for pair in wrong:
            columns = drawing.columns_read if pair.read else drawing.columns_written
            column = columns[pair.place_read if pair.read else pair.place_written]
            assert mistake_words(pair.written, pair.read, f"in column {column}") in page.text


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
    assert [mistake_words(one.written, one.read, times(one.number)) for one in found] == [
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


@functools.cache
def best(read: str, written: str) -> tuple[int, int]:
    """The fewest edits, and minus the most substitutions of those alignments; by recursion."""
    if not read or not written:
        return len(read) + len(written), 0
    differ = read[0] != written[0]
    ways = [(best(read[1:], written[1:]), (differ, -differ))]
    ways += [(best(read[1:], written), (1, 0)), (best(read, written[1:]), (1, 0))]
    return min((edits + more, swaps + fewer) for (edits, swaps), (more, fewer) in ways)


def test_an_alignment_has_the_fewest_edits_and_then_the_most_substitutions(
    rng: np.random.Generator,
) -> None:
    texts = ["".join(rng.choice(list("abc"), size)) for size in rng.integers(0, 8, 400)]
    for read, written in zip(texts[::2], texts[1::2], strict=True):
        pairs = aligned(read, written)
        assert "".join(pair.read for pair in pairs) == read
        assert "".join(pair.written for pair in pairs) == written
        assert [pair.place_read for pair in pairs if pair.read] == [*range(len(read))]
        assert [pair.place_written for pair in pairs if pair.written] == [*range(len(written))]
        wrong = [pair for pair in pairs if not pair.is_right]
        swaps = sum(bool(pair.read and pair.written) for pair in wrong)
        assert (len(wrong), -swaps) == best(read, written)
    # Rather two digits that were taken for others than one that was missed and one too many.
    wrong = [pair for pair in aligned("20199441", "20189941") if not pair.is_right]
    assert [(pair.written, pair.read) for pair in wrong] == [("8", "9"), ("9", "4")]


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
