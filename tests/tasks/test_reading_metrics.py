"""Metrics of text reading, on lines made by hand."""

import itertools
from typing import Any

import numpy as np
import pytest

from seqvision.decoding import letter_ends
from seqvision.tasks.reading_metrics import ScoredLine, matched, reading_metrics

DELAY = 3


def line(
    symbols: str,
    truth: str,
    starts: list[int] | None = None,
    truth_ends: list[int] | None = None,
    loss: float = 1.0,
    fits: bool = True,
) -> ScoredLine:
    """Each symbol is said in two columns."""
    first = np.array(starts if starts is not None else 10 * np.arange(len(symbols)), np.int32)
    return ScoredLine(
        symbols=np.array([int(symbol) for symbol in symbols], np.int32),
        starts=first,
        ends=first + 1,
        num_columns=1000,
        truth=np.array([int(symbol) for symbol in truth], np.int32),
        truth_ends=None if truth_ends is None else np.array(truth_ends, np.int32),
        loss=loss,
        fits=fits,
    )


def edits(read: str, written: str) -> int:
    """Levenshtein's distance by its definition."""
    if not read or not written:
        return len(read) + len(written)
    return min(
        edits(read[1:], written) + 1,
        edits(read, written[1:]) + 1,
        edits(read[1:], written[1:]) + (read[0] != written[0]),
    )


def test_errors_are_summed_over_all_symbols() -> None:
    read = ["123", "12", "1123", "923", "", "33"]
    lines = [line(text, "123") for text in read]
    lines.append(line("45", "45"))
    metrics = reading_metrics(lines, DELAY)
    # 0 + 1 + 1 + 1 + 3 + 2 of 6 x 3 + 2 symbols.
    assert metrics.cer == pytest.approx(8 / 20)
    assert metrics.score == -metrics.cer
    assert metrics.exact_match == pytest.approx(2 / 7)
    assert metrics.exact_by_length == {2: (1, 1), 3: (1, 6)}
    assert metrics.count == 7


def test_error_rate_is_the_edit_distance(rng: np.random.Generator) -> None:
    pairs = [
        tuple("".join(map(str, rng.integers(1, 4, rng.integers(1, 6)))) for _ in range(2))
        for _ in range(40)
    ]
    metrics = reading_metrics([line(*pair) for pair in pairs], DELAY)
    expected = sum(edits(*pair) for pair in pairs) / sum(len(written) for _, written in pairs)
    assert metrics.cer == pytest.approx(expected)


def test_loss_is_of_the_lines_that_fit() -> None:
    lines = [line("1", "1", loss=2.0), line("1", "1", loss=4.0), line("", "1", loss=0, fits=False)]
    metrics = reading_metrics(lines, DELAY)
    assert metrics.loss == 3.0
    assert (metrics.count, metrics.unfit) == (3, 1)
    assert metrics.row()["unfit"] == 1
    assert metrics.cer == pytest.approx(1 / 3)
    none = reading_metrics(lines[2:], DELAY)
    assert np.isnan(none.loss) and "loss" not in none.row()


def test_letters_end_where_they_could_be_said_from() -> None:
    """A symbol said from column 20 on, 1 to 3 columns after its end, ended in 17 to 19."""
    assert letter_ends(np.array([20]), 3).tolist() == [18]
    assert letter_ends(np.array([20]), 1).tolist() == [19]
    assert letter_ends(np.array([20]), 7).tolist() == [16]


def test_boundaries_by_hand() -> None:
    # Ends are taken to be 18, 28, 38: of the true ones, 15 and 31 are 3 columns off, 42 is 4.
    metrics = reading_metrics([line("123", "123", [20, 30, 40], [15, 31, 42])], DELAY)
    assert metrics.boundary_f1 == pytest.approx(2 * 2 / 6)
    # What is said counts, right or wrong; each end is matched once.
    lines = [line("99", "1", [20, 22], [19]), line("", "12", [], [5, 9])]
    assert reading_metrics(lines, DELAY).boundary_f1 == pytest.approx(2 * 1 / (2 + 3))


def test_latency_is_of_the_symbols_that_were_read_right() -> None:
    # Said in columns 20-21, so final in 22; and so on. The 9 was wrong.
    metrics = reading_metrics([line("193", "123", [20, 30, 50], [18, 10, 49])], DELAY)
    assert metrics.latency_median == pytest.approx((4 + 3) / 2)
    more = [line("1", "1", [10 + delay], [10]) for delay in range(101)]
    metrics = reading_metrics(more, DELAY)  # 2 to 102 columns.
    assert metrics.latency_median == 52
    assert metrics.latency_p95 == 97


def test_a_symbol_too_many_shifts_no_latency() -> None:
    metrics = reading_metrics([line("1923", "123", [20, 25, 30, 40], [18, 28, 38])], DELAY)
    assert metrics.latency_median == metrics.latency_p95 == 4


def test_lines_without_known_columns() -> None:
    metrics = reading_metrics([line("12", "12"), line("1", "2")], DELAY)
    assert np.isnan([metrics.boundary_f1, metrics.latency_median, metrics.latency_p95]).all()
    assert metrics.row() == {"loss": 1.0, "cer": 1 / 3, "exact_match": 0.5, "count": 2}
    # Beside others they count in all but these.
    known = line("1", "1", [20], [18])
    both = reading_metrics([known, line("12", "12")], DELAY)
    assert both.boundary_f1 == 1
    assert both.latency_median == 4
    assert both.count == 2


def test_nothing_written_is_read_rightly_as_nothing() -> None:
    metrics = reading_metrics([line("", ""), line("1", "")], DELAY)
    assert metrics.exact_by_length == {0: (1, 2)}
    assert metrics.cer == 1


def most_pairs(found: tuple[int, ...], true: tuple[int, ...], tolerance: int) -> int:
    """By trying every choice of columns, paired in order and out of order."""
    for number in range(min(len(found), len(true)), 0, -1):
        for ours in itertools.combinations(found, number):
            for theirs in itertools.permutations(true, number):
                pairs: Any = zip(ours, theirs, strict=True)
                if all(abs(one - other) <= tolerance for one, other in pairs):
                    return number
    return 0


def test_no_matching_has_more_pairs(rng: np.random.Generator) -> None:
    for _ in range(150):
        found, true = (
            tuple(sorted(rng.integers(0, 14, rng.integers(0, 5)).tolist())) for _ in range(2)
        )
        tolerance = int(rng.integers(0, 4))
        expected = most_pairs(found, true, tolerance)
        assert matched(list(found), list(true), tolerance) == expected
        assert matched(list(true), list(found), tolerance) == expected
