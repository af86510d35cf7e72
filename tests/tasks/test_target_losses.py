"""Losses of other targets than one class beside loops in float64, with unknown ones among them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.tasks.base import Task
from seqvision.tasks.multi_label import MultiLabel
from seqvision.tasks.regression import Regression
from seqvision.tasks.step_classification import StepClassification

B, T, K = 3, 5, 4
NAMES = tuple("abcd")
MASK = np.ones(B, np.bool_)
LENGTHS = np.array([5, 2, 3], np.int32)


def log_softmax(row: np.ndarray) -> np.ndarray:
    return row - np.log(np.exp(row).sum())


def steps_by_hand(
    logits: np.ndarray, labels: np.ndarray, weights: Any, smoothing: float, only_last: bool
) -> tuple[list[float], float]:
    """The loss of each clip, and that of the batch: the mean over all frames that are learnt."""
    each, total, count = [], 0.0, 0
    for clip, own in zip(logits, labels, strict=True):
        frames = [t for t in range(T) if own[t] >= 0]
        losses = []
        for t in frames[-1:] if only_last else frames:
            wanted = np.full(K, smoothing / K)
            wanted[own[t]] += 1 - smoothing
            losses.append(-weights[own[t]] * (wanted * log_softmax(clip[t])).sum())
        each.append(float(np.mean(losses)) if losses else 0.0)
        total, count = total + sum(losses), count + len(losses)
    return each, total / count


def computed(task: Task, logits: Any, batch: dict[str, Any]) -> Any:
    """Losses, sums, the loss of the batch as a training step takes it, and its gradient."""

    def batch_loss(logits: Any) -> Any:
        losses, counts = task.losses(logits, batch), task.num_targets(batch)
        assert counts is not None
        sums = task.sums(logits, batch, losses, jnp.asarray(MASK))
        return (losses * counts).sum() / counts.sum(), (losses, sums, counts)

    run = jax.jit(jax.value_and_grad(batch_loss, has_aux=True))
    (loss, aux), gradient = jax.device_get(run(jnp.asarray(logits)))
    return *aux, loss, gradient


@pytest.mark.parametrize("only_last", [False, True])
def test_the_loss_of_frames_is_that_of_a_loop(rng: np.random.Generator, only_last: bool) -> None:
    logits = rng.normal(size=(B, T, K)).astype(np.float32)
    labels = rng.integers(-1, K, (B, T)).astype(np.int32)
    labels[1] = -1
    labels[np.arange(T)[None] >= LENGTHS[:, None]] = -1
    weights = (1.0, 2.0, 0.5, 3.0)
    task = StepClassification(
        NAMES, label_smoothing=0.1, only_last=only_last, class_weights=weights
    )
    each, mean = steps_by_hand(logits.astype(np.float64), labels, weights, 0.1, only_last)
    # Behind the end, and where nothing is known, logits may be anything.
    logits[labels < 0] = np.nan
    batch = {"labels": jnp.asarray(labels), "lengths": jnp.asarray(LENGTHS)}
    losses, sums, _, loss, gradient = computed(task, logits, batch)
    np.testing.assert_allclose(losses, each, rtol=1e-5)
    np.testing.assert_allclose(loss, mean, rtol=1e-5)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient)[labels < 0].any()
    # What is recorded is plain: without smoothing and weights, of all known frames.
    known = labels >= 0
    plain = [-log_softmax(row)[y] for row, y in zip(logits[known], labels[known], strict=True)]
    row = task.row(sums)
    assert row["loss"] == pytest.approx(np.mean(plain), rel=1e-5)
    assert row["accuracy"] == pytest.approx((logits[known].argmax(-1) == labels[known]).mean())
    assert row["count"] == known.sum()


def test_the_loss_of_labels_is_that_of_a_loop(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(B, T, K)).astype(np.float32)
    labels = np.array([[1, 0, -1, 1], [-1] * 4, [0, 0, 1, -1]], np.int32)
    weights = ((0.5, 1.0, 2.0, 1.0), (3.0, 1.0, 1.0, 0.25))
    task = MultiLabel(NAMES, step_weight=0.4, class_weights=weights)
    expected = []
    for clip, own, length in zip(logits.astype(np.float64), labels, LENGTHS, strict=True):
        of_step = []
        for step in clip[:length]:
            p = 1 / (1 + np.exp(-step))
            each = [
                -weights[y][k] * np.log(p[k] if y else 1 - p[k])
                for k, y in enumerate(own)
                if y >= 0
            ]
            of_step.append(np.mean(each) if each else 0.0)
        expected.append(0.6 * of_step[-1] + 0.4 * np.mean(of_step))
    logits[np.arange(T)[None] >= LENGTHS[:, None]] = np.nan
    batch = {"labels": jnp.asarray(labels), "lengths": jnp.asarray(LENGTHS)}
    losses, _, counts, _, gradient = computed(task, logits, batch)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_array_equal(counts, [3, 0, 3])
    assert np.isfinite(gradient).all() and not gradient[1].any()


def test_the_loss_of_numbers_is_that_of_a_loop(rng: np.random.Generator) -> None:
    outputs = rng.normal(size=(B, T, 1)).astype(np.float32)
    numbers = np.array([130.0, np.nan, 95.0], np.float32)
    task = Regression(("value",), offset=100.0, scale=20.0, step_weight=0.5)
    expected = []
    for clip, number, length in zip(outputs[..., 0], numbers, LENGTHS, strict=True):
        squared = (clip[:length].astype(np.float64) - (float(number) - 100) / 20) ** 2
        expected.append(0.0 if np.isnan(number) else 0.5 * squared[-1] + 0.5 * squared.mean())
    batch = {"labels": jnp.asarray(numbers), "lengths": jnp.asarray(LENGTHS)}
    losses, sums, _, _, gradient = computed(task, outputs, batch)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    last = outputs[[0, 2], [4, 2], 0].astype(np.float64) * 20 + 100
    row = task.row(sums)
    assert row["mae"] == pytest.approx(np.abs(last - numbers[[0, 2]]).mean(), rel=1e-4)
    assert row["count"] == 2
    assert np.isfinite(gradient).all() and not gradient[1].any()
