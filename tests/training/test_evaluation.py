"""Losses, metrics, evaluation and prediction, against numpy and by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.data.dataset import Dataset
from seqvision.data.preprocessing import Windows, frame_ranges
from seqvision.runtime.mesh import create_mesh
from seqvision.tasks.classification import Classification
from seqvision.tasks.classification_metrics import ClassificationMetrics, ClassSums
from seqvision.tasks.classification_steps import make_predict_step
from seqvision.tasks.losses import cross_entropy, last_step, step_cross_entropy
from tests.training.small_networks import (
    SHAPE,
    TASK,
    clip_model,
    clip_split,
    numpy_cross_entropy,
    small_model,
)

# --- losses and metrics ---


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(rng: np.random.Generator, smoothing: float) -> None:
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    labels = rng.integers(0, 4, 6).astype(np.int32)
    losses = cross_entropy(jnp.asarray(logits), jnp.asarray(labels), smoothing)
    np.testing.assert_allclose(losses, numpy_cross_entropy(logits, labels, smoothing), rtol=1e-5)


def test_metrics_by_hand() -> None:
    logits = jnp.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
    labels = jnp.array([0, 0, 0, 2], jnp.int32)
    losses = jnp.array([1.0, 2.0, 4.0, 100.0])
    mask = jnp.array([True, True, True, False])
    metrics = ClassificationMetrics.of(ClassSums.of(logits, losses, labels, mask))
    assert metrics.loss == pytest.approx(7 / 3)
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert metrics.count == 3
    assert metrics.class_accuracy == (pytest.approx(2 / 3), None, None)


def test_metrics_add_up_over_parts(rng: np.random.Generator) -> None:
    logits = jnp.asarray(rng.normal(size=(10, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 3, 10), jnp.int32)
    losses = cross_entropy(logits, labels)
    mask = jnp.ones(10, jnp.bool_)
    whole = ClassificationMetrics.of(ClassSums.of(logits, losses, labels, mask))
    parts = [
        ClassSums.of(logits[p], losses[p], labels[p], mask[p])
        for p in (slice(0, 3), slice(3, 4), slice(4, 10))
    ]
    for metrics in (
        ClassificationMetrics.of(*parts),
        ClassificationMetrics.of(parts[0] + parts[1] + parts[2]),
    ):
        assert metrics.loss == pytest.approx(whole.loss, rel=1e-6)
        assert dataclasses.replace(metrics, loss=whole.loss) == whole


# --- evaluation ---


@pytest.mark.parametrize("batch_size", [1, 32, 333, 1000, 5000])
def test_evaluation_counts_every_example_once(mnist: Dataset, batch_size: int) -> None:
    count = 40 if batch_size == 1 else 1037
    split = mnist.splits["test"].part(0, count)
    model, mesh = small_model(), create_mesh()
    params = model.init(jax.random.key(0), jnp.zeros((1, *SHAPE)))["params"]
    evaluate = TASK.create_evaluation(model, mesh, split.take, batch_size)
    metrics = evaluate(params, split)
    logits = np.asarray(
        model.apply({"params": params}, jnp.asarray(split.inputs, jnp.float32) / 255)
    )
    assert metrics.count == count
    assert metrics.accuracy == (logits.argmax(axis=1) == split.labels).mean()
    expected = numpy_cross_entropy(logits, split.labels, 0.0).mean()
    assert metrics.loss == pytest.approx(expected, rel=1e-5)
    for label, accuracy in enumerate(metrics.class_accuracy):
        chosen = split.labels == label
        if chosen.any():
            assert accuracy == (logits[chosen].argmax(axis=1) == label).mean()


def test_prediction_equals_softmax(mnist: Dataset) -> None:
    model, mesh = small_model(), create_mesh()
    params = model.init(jax.random.key(0), jnp.zeros((1, *SHAPE)))["params"]
    images = mnist.splits["test"].inputs[:4]
    answer = make_predict_step(model, mesh)(params, images, None)
    logits = np.float64(model.apply({"params": params}, jnp.asarray(images, jnp.float32) / 255))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer.probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(answer.windows[:, 0], expected, rtol=1e-5)
    assert answer.steps is None


# --- clips, windows, steps that speak ---


def test_a_clip_is_the_mean_of_its_windows(rng: np.random.Generator) -> None:
    split, mesh, windows = clip_split(rng), create_mesh(), Windows(3, 2)
    model = clip_model()
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 3, 3, 4, 1)))["params"]
    params = jax.tree.map(lambda a: 3 * a, params)  # So that windows differ.
    answer = make_predict_step(model, mesh, windows)(params, split.inputs, split.lengths)
    read = jax.jit(lambda clip: model.apply({"params": params}, clip))
    expected = []
    for clip, length in zip(split.inputs, split.lengths, strict=True):
        parts = [
            np.asarray(jax.nn.softmax(read(jnp.asarray(clip[None, a:b], jnp.float32) / 255)))[0]
            for a, b in frame_ranges(int(length), 3, 2)
        ]
        expected.append(np.mean(parts, axis=0))
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)

    task = Classification(("dark", "bright"), windows=windows)
    evaluate = task.create_evaluation(model, mesh, split.take, 8)
    metrics = evaluate(params, split)
    chosen = np.stack(expected)[np.arange(30), split.labels]
    assert metrics.loss == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
    assert metrics.accuracy == (np.argmax(expected, axis=1) == split.labels).mean()

    answer = jax.device_get(answer)
    found = list(task.predictions(answer, split.lengths, 30))
    for prediction, length in zip(found, split.lengths, strict=True):
        assert [w["frames"] for w in prediction["windows"]] == frame_ranges(int(length), 3, 2)
        mean = np.mean([w["probabilities"] for w in prediction["windows"]], axis=0)
        np.testing.assert_allclose(mean, prediction["probabilities"], atol=1e-5)


def test_step_losses_by_hand() -> None:
    logits = jnp.log(jnp.array([[[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]]]))
    labels, whole, short = jnp.array([0]), None, jnp.array([2], jnp.int32)
    last, mean = -np.log(0.5), -np.log([0.9, 0.8, 0.5]).mean()
    for weight in (0.0, 0.25, 1.0):
        found = step_cross_entropy(logits, labels, whole, weight)
        assert found.item() == pytest.approx((1 - weight) * last + weight * mean, rel=1e-5)
    found = step_cross_entropy(logits, labels, short, 0.5)
    expected = 0.5 * -np.log(0.8) + 0.5 * -np.log([0.9, 0.8]).mean()
    assert found.item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(last_step(logits, short), np.log([[0.8, 0.2]]), rtol=1e-5)
    np.testing.assert_array_equal(last_step(logits, jnp.array([0], jnp.int32)), [[0, 0]])


def test_what_is_said_after_each_step(rng: np.random.Generator) -> None:
    """What was said after step t is what is said of the first t steps alone."""
    split, mesh = clip_split(rng), create_mesh()
    model = clip_model("per_step")
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 7, 3, 4, 1)))["params"]
    step = make_predict_step(model, mesh)
    answer = jax.device_get(step(params, split.inputs, split.lengths))
    found = list(Classification(("dark", "bright")).predictions(answer, split.lengths, 30))
    cut = np.minimum(split.lengths, 2)
    early = jax.device_get(step(params, split.inputs, cut))
    for index, (prediction, length) in enumerate(zip(found, split.lengths, strict=True)):
        (window,) = prediction["windows"]
        assert window["steps"].shape == (length, 2)
        np.testing.assert_allclose(window["steps"][-1], prediction["probabilities"], atol=1e-6)
        np.testing.assert_allclose(
            window["steps"][cut[index] - 1], early.probabilities[index], atol=1e-5
        )
