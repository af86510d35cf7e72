"""Metrics beside scikit-learn and beside their definitions, on random and tied scores."""

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sklearn_metrics

from seqvision.metrics.calibration import (
    expected_calibration_error,
    fit_classes,
    fit_labels,
    tempered_classes,
    tempered_labels,
)
from seqvision.metrics.numerics import sigmoid, softmax
from seqvision.metrics.ranking import Ranking
from seqvision.metrics.scores import ClassScores, LabelScores, NumberScores

CASES = [(seed, tied, missing) for seed in range(4) for tied in (False, True) for missing in (0, 1)]


def drawn(seed: int, tied: bool, missing: int, count: int = 60) -> ClassScores:
    """Four classes, of which the last `missing` have no example."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(size=(count, 4)))
    if tied:
        probabilities = np.round(probabilities, 1) + 0.01
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    targets = rng.integers(0, 4 - missing, count)
    return ClassScores(tuple("abcd"), targets, probabilities, np.arange(count))


def auc_by_pairs(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """How often a positive scores above a negative, ties half: all pairs."""
    above = total = 0.0
    for i in np.flatnonzero(positive):
        for j in np.flatnonzero(~positive):
            weight = weights[i] * weights[j]
            above += weight * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
            total += weight
    return above / total


def average_precision_by_thresholds(positive: np.ndarray, scores: np.ndarray) -> float:
    found, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        recall = (chosen & positive).sum() / positive.sum()
        found += (recall - before) * (chosen & positive).sum() / chosen.sum()
        before = recall
    return found


@pytest.mark.parametrize(("seed", "tied", "missing"), CASES)
def test_class_metrics_equal_those_of_scikit_learn(seed: int, tied: bool, missing: int) -> None:
    scores = drawn(seed, tied, missing)
    weights = np.random.default_rng(seed).integers(0, 3, scores.count).astype(float)
    for own in (None, weights):
        values = scores.values(own)
        targets, chosen = scores.targets, scores.probabilities.argmax(axis=1)
        there = np.unique(targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A class that is chosen, and has no examples.
            expected: dict[str, Any] = {
                "accuracy": sklearn_metrics.accuracy_score(targets, chosen, sample_weight=own),
                "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(
                    targets, chosen, sample_weight=own
                ),
                "loss": sklearn_metrics.log_loss(
                    targets, scores.probabilities, labels=range(4), sample_weight=own
                ),
            }
            if own is None:
                expected["f1"] = sklearn_metrics.f1_score(targets, chosen, average="macro")
        one_hot = np.eye(4)[targets][:, there]
        there_scores = scores.probabilities[:, there]
        expected["auc"] = sklearn_metrics.roc_auc_score(one_hot, there_scores, sample_weight=own)
        expected["map"] = sklearn_metrics.average_precision_score(
            one_hot, there_scores, sample_weight=own
        )
        for name, value in expected.items():
            assert values[name] == pytest.approx(value, abs=1e-12), (name, own is None)
    matrix = scores.details(0.9)["confusion_matrix"]
    assert matrix == sklearn_metrics.confusion_matrix(targets, chosen, labels=range(4)).tolist()


@pytest.mark.parametrize(("seed", "tied", "missing"), CASES)
def test_rankings_equal_their_definitions(seed: int, tied: bool, missing: int) -> None:
    scores = drawn(seed, tied, missing)
    weights = np.random.default_rng(seed).integers(0, 3, scores.count).astype(float)
    for label in range(4 - missing):
        positive, column = scores.targets == label, scores.probabilities[:, label]
        auc = Ranking.of(positive, column, weights).auc()
        assert auc == pytest.approx(auc_by_pairs(positive, column, weights), abs=1e-12)
        ranking = Ranking.of(positive, column)
        expected = average_precision_by_thresholds(positive, column)
        assert ranking.average_precision() == pytest.approx(expected, abs=1e-12)
        for specificity in (0.5, 0.9, 0.95):
            best = max(
                (column[positive] >= threshold).mean()
                for threshold in [*column, 2.0]
                if (column[~positive] < threshold).mean() >= specificity - 1e-9
            )
            assert ranking.sensitivity_at(specificity) == pytest.approx(best, abs=1e-12)


def test_what_is_undefined_is_none_and_left_out_of_means() -> None:
    scores = drawn(0, False, 1)
    details = scores.details(0.9)["classes"]
    none = {"count": 0, "auc": None, "average_precision": None, "sensitivity": None}
    assert {name: details["d"][name] for name in none} == none
    aucs = [details[name]["auc"] for name in "abc"]
    assert scores.values()["auc"] == pytest.approx(np.mean(aucs))
    one = ClassScores(("a", "b"), np.zeros(3, int), np.full((3, 2), 0.5), np.arange(3))
    assert one.values()["auc"] is None
    assert one.values()["map"] == 1.0  # That of class a; b has no positives.
    assert ClassScores(("a",), np.zeros(0, int), np.zeros((0, 1)), np.zeros(0, int)).values() == {}


def test_label_metrics_equal_those_of_scikit_learn_label_by_label(rng: np.random.Generator) -> None:
    targets, logits = rng.integers(-1, 2, (80, 3)), rng.normal(size=(80, 3))
    probabilities = np.round(sigmoid(logits), 1)
    units, labels = np.nonzero(targets >= 0)
    scores = LabelScores(
        tuple("abc"), labels, targets[units, labels], probabilities[units, labels], units
    )
    values = scores.values()
    columns = [
        (targets[:, k][targets[:, k] >= 0], probabilities[:, k][targets[:, k] >= 0])
        for k in range(3)
    ]
    by_label = {
        "auc": [sklearn_metrics.roc_auc_score(t, p) for t, p in columns],
        "map": [sklearn_metrics.average_precision_score(t, p) for t, p in columns],
        "f1": [sklearn_metrics.f1_score(t, p >= 0.5) for t, p in columns],
        "balanced_accuracy": [
            sklearn_metrics.balanced_accuracy_score(t, p >= 0.5) for t, p in columns
        ],
    }
    for name, each in by_label.items():
        assert values[name] == pytest.approx(np.mean(each), abs=1e-12), name
    known = np.concatenate([t for t, _ in columns]), np.concatenate([p for _, p in columns])
    assert values["accuracy"] == pytest.approx(np.mean(known[0] == (known[1] >= 0.5)))


def test_number_metrics_equal_those_of_scikit_learn(rng: np.random.Generator) -> None:
    targets, values = rng.normal(3, 2, 50), rng.normal(3, 2, 50)
    found = NumberScores(targets, values, np.arange(50), scale=2.0).values()
    squared = sklearn_metrics.mean_squared_error(targets, values)
    assert found["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(targets, values))
    assert found["rmse"] == pytest.approx(squared**0.5)
    assert found["r2"] == pytest.approx(sklearn_metrics.r2_score(targets, values))
    assert found["loss"] == pytest.approx(squared / 4)
    assert NumberScores(np.ones(3), np.zeros(3), np.arange(3)).values()["r2"] is None


def test_calibration_error_equals_a_loop_over_the_bins(rng: np.random.Generator) -> None:
    confidences = np.concatenate([rng.random(200), [1.0, 0.0]])
    right = rng.random(len(confidences)) < 0.6
    error = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = [low < c <= high or (number == 0 and c == 0) for c in confidences]
        if any(inside):
            gap = right[inside].mean() - confidences[inside].mean()
            error += abs(gap) * np.mean(inside)
    assert expected_calibration_error(confidences, right) == pytest.approx(error, abs=1e-12)


def test_the_fitted_temperature_is_the_one_that_the_logits_were_multiplied_with() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 3))
    true = softmax(logits)
    targets = (true.cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1)
    overconfident = softmax(2.5 * logits).astype(np.float32)
    temperature = fit_classes(targets, overconfident)
    assert temperature == pytest.approx(2.5, rel=0.03)
    np.testing.assert_allclose(tempered_classes(overconfident, 2.5), true, atol=2e-5)
    scores = ClassScores(tuple("abc"), targets, overconfident, np.arange(len(targets)))
    before, after = scores.values(), scores.tempered(temperature).values()
    assert (before["ece"] or 0) > 0.1 > 0.015 > (after["ece"] or 0)
    assert before["accuracy"] == after["accuracy"]

    labels = (rng.random(20_000) < sigmoid(logits[:, 0])).astype(int)
    assert fit_labels(labels, sigmoid(0.5 * logits[:, 0])) == pytest.approx(0.5, rel=0.05)
    np.testing.assert_allclose(
        tempered_labels(sigmoid(0.5 * logits[:, 0]), 0.5), sigmoid(logits[:, 0]), atol=1e-12
    )
