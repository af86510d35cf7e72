"""Sections about a reader of lines: confusions of symbols, lines, errors by length, calibration."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from seqvision.data.dataset import Split
from seqvision.reports.calibration import calibration_section
from seqvision.reports.charts import FIRST, chart_style, new_figure, svg
from seqvision.reports.examined import example_names, predictions_of
from seqvision.reports.line_drawing import LineDrawing, draw_lines
from seqvision.reports.page import Section, fill
from seqvision.reports.symbols import (
    ReadLine,
    errors_by_length,
    mistake_words,
    mistakes,
    named,
    symbol_marks,
    times,
    visible,
)
from seqvision.runs.saved_run import Run

_LINES = 6
_ROWS = 20


class ShownLine(NamedTuple):
    """What the page shows of a line: its file or number, both texts, the drawing, words."""

    name: str
    title: str
    is_right: bool
    drawing: LineDrawing
    words: str


def reader_sections(run: Run, split: Split, split_name: str) -> Iterator[Section]:
    """Reads a split and describes what was found."""
    lines = read_split(run, split)
    found, num_symbols = mistakes(lines), sum(len(line.truth) for line in lines)
    error_rate = sum(line.edits for line in lines) / max(1, num_symbols)
    lengths = errors_by_length(lines)
    words = length_words(lengths)
    body = fill(
        "symbols.html",
        words=[mistake_words(one.written, one.read, times(one.number)) for one in found[:3]],
        rows=[(visible(one.written), visible(one.read), one.number) for one in found[:_ROWS]],
        number=len(found),
        total=len(lines),
        split=split_name,
        error_rate=error_rate,
        right=sum(line.text == line.truth for line in lines),
    )
    yield Section("confusions", "Confusions of symbols", body, {"cer": error_rate})
    yield _lines(run, split, split_name, lines)
    chart = svg(length_figure(lengths), "Character error rate by symbols in the line")
    yield Section("lengths", "Errors by length", fill("charts.html", words=[words], charts=[chart]))
    sure, right = symbol_marks(lines)
    if len(sure):
        yield calibration_section(sure, right, "Of the symbols that were read")


def read_split(run: Run, split: Split) -> list[ReadLine]:
    """The lines of a split as they were read."""
    return [
        ReadLine(one["text"], run.task.truth(label), one["confidences"])
        for one, label in predictions_of(run, split, "line")
    ]


def _lines(run: Run, split: Split, split_name: str, lines: list[ReadLine]) -> Section:
    edits = np.array([line.edits for line in lines])
    worst = [n for n in np.argsort(-edits, kind="stable")[:_LINES].tolist() if edits[n] > 0]
    sure = np.array([line.confidences.min(initial=1.0) for line in lines])
    order = np.argsort(sure, kind="stable").tolist()
    unsure = [n for n in order[: _LINES + len(worst)] if n not in worst][:_LINES]
    numbers = worst + unsure
    drawings, names = draw_lines(run, split, numbers), example_names(split, numbers)
    shown = {
        number: _shown(name, drawing)
        for number, name, drawing in zip(numbers, names, drawings, strict=True)
    }
    body = fill(
        "lines.html",
        has_ends=any(letter.end is not None for d in drawings for letter in d.read),
        split=split_name,
        groups=[
            ("The most errors", [shown[number] for number in worst]),
            ("The least sure of the others", [shown[number] for number in unsure]),
        ],
    )
    return Section("lines", "Lines", body)


def _shown(name: str, drawing: LineDrawing) -> ShownLine:
    line = drawing.line
    is_right = line.text == line.truth
    title = f"read as '{line.text}'"
    title += ", as it is written" if is_right else f", written is '{line.truth}'"
    words = []
    for pair in line.pairs:
        if not pair.is_right:
            column = drawing.columns_written[pair.place_written]
            if pair.read:
                column = drawing.columns_read[pair.place_read]
            where = f"in column {column}" if column >= 0 else "once"
            words.append(mistake_words(pair.written, pair.read, where))
    if len(line.text):
        place = int(line.confidences.argmin())
        words.append(
            f"Least sure: {named(line.text[place])} in column {drawing.columns_read[place]}, with"
            f" {line.confidences[place]:.2%}."
        )
    return ShownLine(name, title, is_right, drawing, " ".join(words))


def length_figure(lengths: dict[int, tuple[float, int]]) -> Figure:
    """The character error rate of lines of each number of symbols."""
    with chart_style():
        figure, axes = new_figure("symbols in the line", "character error rate")
        axes.bar(list(lengths), [rate for rate, _ in lengths.values()], color=FIRST)
    return figure


def length_words(lengths: dict[int, tuple[float, int]]) -> str:
    """The figure as a sentence: lines of the shorter half beside those of the longer."""
    middle = len(lengths) // 2
    halves = [list(lengths.items())[:middle], list(lengths.items())[middle:]]
    words = []
    for half in filter(None, halves):
        symbols = sum(length * count for length, (_, count) in half)
        edits = sum(rate * max(1, length) * count for length, (rate, count) in half)
        first, last = half[0][0], half[-1][0]
        name = (
            f"{first} to {last} symbols" if first < last else f"{first} symbol{'s'[: first != 1]}"
        )
        words.append(f"{edits / max(1, symbols):.2%} in lines of {name}")
    return f"Character error rate: {', '.join(words)}."
