"""Figures of pages about other targets than one class, computed again from written rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.reports.parsing import Page

Rows = Sequence[dict[str, Any]]
"""Of `--output`: what was predicted of each example, with its truth."""


def check_step_page(text: str, rows: Rows, names: tuple[str, ...]) -> None:
    """Confusions and accuracy by position, frame by frame in plain Python."""
    page = Page(text)
    assert page.problems == []
    matrix = np.zeros((len(names), len(names)), int)
    places: dict[int, list[bool]] = {}
    for row in rows:
        for place, (truth, said) in enumerate(zip(row["truth"], row["label"], strict=True), 1):
            if truth is not None:
                matrix[names.index(truth), names.index(said)] += 1
                places.setdefault(place, []).append(truth == said)
    [table] = [table for table in page.tables if table[0][0].startswith("is")]
    assert [[int(cell) for cell in row[1:-1]] for row in table[1:]] == matrix.tolist()
    right = int(np.trace(matrix))
    assert f"{right:,} of {matrix.sum():,} test frames are right" in page.text
    last = max(places)
    words = f"in frame {last}, the last, {np.mean(places[last]):.2%} of {len(places[last]):,}; "
    least = min(sorted(places), key=lambda place: np.mean(places[place]))
    assert f"{words}the fewest, {np.mean(places[least]):.2%}, in frame {least}." in page.text
    # The films: those with the most wrong frames first, each with the class that a frame is.
    wrong = sorted(
        (sum(t not in (None, s) for t, s in zip(row["truth"], row["label"], strict=True)), n)
        for n, row in enumerate(rows)
    )
    worst = sorted((-count, n) for count, n in wrong if count)[:6]
    known = [sum(one is not None for one in row["truth"]) for row in rows]
    shown = [f"{known[n] + count} of {known[n]} known frames right" for count, n in worst]
    places_of = [page.text.find(title) for title in shown]
    assert places_of and -1 not in places_of
    assert page.text.count("what it is") >= len(shown)


def check_label_page(text: str, rows: Rows, names: tuple[str, ...], truths: np.ndarray) -> None:
    """AUC and average precision of each label by scikit-learn; the probabilities of the worst."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    page = Page(text)
    assert page.problems == []
    probabilities = np.array([row["probabilities"] for row in rows])
    [table] = [table for table in page.tables if table[0][0] == "label"]
    for number, (name, count, auc, precision, _) in enumerate(table[1:]):
        known = np.isfinite(truths[:, number])
        truth, sure = truths[known, number], probabilities[known, number]
        assert (name, int(count)) == (names[number], truth.sum())
        assert abs(float(auc) - roc_auc_score(truth, sure)) < 2e-3
        assert abs(float(precision) - average_precision_score(truth, sure)) < 2e-3
    off = np.where(np.isfinite(truths), np.abs(probabilities - truths), 0).max(axis=1)
    for one in np.argsort(-off, kind="stable")[:6]:
        for name, probability in zip(names, probabilities[one], strict=True):
            assert f"{name}: {probability:.2%}" in page.text


def check_number_page(text: str, truths: np.ndarray, values: np.ndarray) -> None:
    """Mean error, and the largest ones, by numpy."""
    page = Page(text)
    assert page.problems == []
    errors = (values - truths)[np.isfinite(truths)]
    assert f"off by {np.abs(errors).mean():.4g} on average" in page.text
    for one in np.sort(-np.abs(errors))[:6]:
        assert f"Off by {-one:+.4g}." in page.text or f"Off by {one:+.4g}." in page.text
    assert page.text.count("predicted - true") == 1
