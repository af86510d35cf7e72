"""The loss of CTC, against the sum over all paths in float64."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.tasks.losses import ctc, is_feasible, step_cross_entropy
from tests.tasks.numpy_ctc import Text, add, all_paths, spelled

NUM_STEPS, NUM_CLASSES, MAX_SYMBOLS = 5, 3, 3
TEXTS: list[Text] = [(1,), (1, 2), (2, 2), (1, 1, 2), (2, 1, 2), (1, 1, 1), ()]
# The last columns of their symbols, from -1: a symbol may end before the first column.
ENDS: list[Text] = [(2,), (0, 1), (0, 1), (-1, 1, 2), (-1, 0, 2), (-1, 1, 2), ()]
DELAY = 2

inner = jax.jit(ctc, static_argnames="max_delay")
jitted = jax.jit(ctc, static_argnames="max_delay")
jitted_fits = jax.jit(is_feasible, static_argnames="max_delay")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = np.float64(logits)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def loss_by_definition(logits: np.ndarray, text: Text, ends: Text | None = None) -> float:
    """Minus the log probability of all paths that spell a text.

    With `ends`, of those that say each symbol 1 to `DELAY` columns after the end of one of its
    kind.
    """
    kinds = [] if ends is None else list(zip(text, ends, strict=True))
    total = -math.inf
    for path, log_prob in all_paths(log_softmax(logits)):
        in_time = ends is None or all(
            any(symbol == kind and 1 <= column - end <= DELAY for kind, end in kinds)
            for column, symbol in enumerate(path)
            if symbol
        )
        if in_time and spelled(path) == text:
            total = add(total, log_prob)
    return -total


def padded(texts: list[Text], size: int = MAX_SYMBOLS) -> np.ndarray:
    return np.array([text + (0,) * (size - len(text)) for text in texts], np.int32)


def counts(sequences: list[Text]) -> np.ndarray:
    return np.array([len(sequence) for sequence in sequences], np.int32)


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    """One line for each text."""
    shape = len(TEXTS), NUM_STEPS, NUM_CLASSES
    return np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)


FULL = np.full(len(TEXTS), NUM_STEPS, np.int32)


@pytest.mark.parametrize("ends", [None, ENDS], ids=["any time", "in time"])
def test_loss_is_the_sum_over_all_paths(logits: np.ndarray, ends: list[Text] | None) -> None:
    columns = None if ends is None else padded(ends)
    found = jitted(logits, FULL, padded(TEXTS), counts(TEXTS), columns, max_delay=DELAY)
    for line, text in enumerate(TEXTS):
        expected = loss_by_definition(logits[line], text, None if ends is None else ends[line])
        assert found[line] == pytest.approx(expected, rel=1e-4), text


def test_the_limit_is_on_each_symbol() -> None:
    """Where no two symbols are of one kind, each has its own columns alone."""
    certain = np.full((4, NUM_STEPS, NUM_CLASSES), -30, np.float32)
    # 1 may be said in columns 1 and 2, 2 in 2 and 3.
    paths = [(0, 1, 2, 0, 0), (0, 0, 1, 2, 0), (1, 0, 2, 0, 0), (0, 1, 0, 0, 2)]
    for line, path in enumerate(paths):
        certain[line, np.arange(NUM_STEPS), path] = 30
    labels, ends = np.array([[1, 2]] * 4, np.int32), np.array([[0, 1]] * 4, np.int32)
    lengths = np.full(4, NUM_STEPS, np.int32)
    texts = np.full(4, 2, np.int32)
    losses = np.asarray(jitted(certain, lengths, labels, texts, ends, max_delay=DELAY))
    np.testing.assert_array_less(losses[:2], 1e-3)
    np.testing.assert_array_less(20, losses[2:])
    np.testing.assert_array_less(np.asarray(jitted(certain, lengths, labels, texts)), 1e-3)


@pytest.mark.parametrize("limited", [False, True])
def test_gradient_equals_finite_differences(logits: np.ndarray, limited: bool) -> None:
    columns = padded(ENDS) if limited else None

    def loss(logits: jax.Array) -> jax.Array:
        losses = inner(logits, FULL, padded(TEXTS), counts(TEXTS), columns, max_delay=DELAY)
        return losses.sum()

    found = np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(logits)))
    step = 1e-5
    for line in (1, 2, 3):
        text, ends = TEXTS[line], ENDS[line] if limited else None
        expected = np.zeros_like(found[line], np.float64)
        for place in np.ndindex(expected.shape):
            moved = np.float64(logits[line])[None].repeat(2, axis=0)
            moved[:, *place] += [-step, step]
            before, after = (loss_by_definition(one, text, ends) for one in moved)
            expected[place] = (after - before) / (2 * step)
        np.testing.assert_allclose(found[line], expected, atol=1e-4)


@pytest.mark.parametrize("limited", [False, True])
def test_padding_changes_nothing(logits: np.ndarray, limited: bool) -> None:
    ends = padded(ENDS) if limited else None
    plain = jitted(logits, FULL, padded(TEXTS), counts(TEXTS), ends, max_delay=DELAY)
    columns = np.pad(logits, ((0, 0), (0, 3), (0, 0)), constant_values=50)
    wider = padded(TEXTS, size=6)
    # Whatever stands behind a text.
    far = np.pad(padded(ENDS), ((0, 0), (0, 3)), constant_values=1) if limited else None
    found = jitted(columns, FULL, wider, counts(TEXTS), far, max_delay=DELAY)
    np.testing.assert_allclose(found, plain, rtol=1e-5)


@pytest.mark.parametrize("limited", [False, True])
def test_texts_that_do_not_fit_cost_nothing(logits: np.ndarray, limited: bool) -> None:
    texts: list[Text] = [(1, 2), (1, 1), (2, 2, 2), (1, 2, 1)]
    lengths = np.array([2, 2, 4, 2], np.int32)  # The first just fits.
    ends = np.zeros((4, MAX_SYMBOLS), np.int32) - 1 if limited else None

    def total(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses = inner(logits, lengths, padded(texts), counts(texts), ends, max_delay=DELAY)
        return losses.sum(), losses

    grads, losses = jax.jit(jax.grad(total, has_aux=True))(logits[:4])
    fits = jitted_fits(lengths, padded(texts), counts(texts))
    assert fits.tolist() == [True, False, False, False]
    assert losses[0] > 0
    np.testing.assert_array_equal(losses[1:], 0)
    assert np.isfinite(grads).all() and np.abs(grads[0]).max() > 0
    np.testing.assert_array_equal(grads[1:], 0)


def test_a_text_fits_if_there_is_a_path() -> None:
    texts = [text for n in range(MAX_SYMBOLS + 1) for text in itertools.product((1, 2), repeat=n)]
    for num_steps in range(5):
        spelt = {spelled(path) for path in itertools.product(range(3), repeat=num_steps)}
        lengths = np.full(len(texts), num_steps, np.int32)
        found = jitted_fits(lengths, padded(texts), counts(texts))
        assert found.tolist() == [text in spelt for text in texts]


def test_one_symbol_of_room(logits: np.ndarray) -> None:
    labels = np.array([[1], [2]], np.int32)
    ones, lengths = np.ones(2, np.int32), np.full(2, NUM_STEPS, np.int32)
    found = jitted(logits[:2], lengths, labels, ones)
    for line, text in enumerate([(1,), (2,)]):
        assert found[line] == pytest.approx(loss_by_definition(logits[line], text), rel=1e-4)


def loss_and_gradient(
    logits: np.ndarray, lengths: np.ndarray, ends: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    def total(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses = inner(logits, lengths, padded(TEXTS), counts(TEXTS), ends, max_delay=DELAY)
        return losses.sum(), losses

    grads, losses = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(logits))
    return np.asarray(losses), np.asarray(grads)


@pytest.mark.parametrize("limited", [False, True])
def test_what_stands_behind_a_sequence_reaches_nothing(logits: np.ndarray, limited: bool) -> None:
    ends = padded(ENDS) if limited else None
    losses, grads = loss_and_gradient(logits, FULL, ends)
    longer = np.pad(logits, ((0, 0), (0, 2), (0, 0)), constant_values=np.nan)
    longer[:, -1, 1] = np.inf
    found, found_grads = loss_and_gradient(longer, FULL, ends)
    np.testing.assert_allclose(found, losses, rtol=1e-6)
    np.testing.assert_allclose(found_grads[:, :NUM_STEPS], grads, atol=1e-6)
    np.testing.assert_array_equal(found_grads[:, NUM_STEPS:], 0)


@pytest.mark.parametrize("limited", [False, True])
def test_a_class_that_cannot_be(logits: np.ndarray, limited: bool) -> None:
    """Logits of -inf, as a mask of classes gives; those that no path needs, and one step of one."""
    masked = logits.copy()
    masked[0, :, 2] = masked[1, 4, 1] = masked[2, :, 1] = masked[3, 0, 2] = masked[4, 3] = -np.inf
    masked[4, 3, 0] = 0
    losses, grads = loss_and_gradient(masked, FULL, padded(ENDS) if limited else None)
    lowest = np.maximum(masked, -1e3)  # In float64, e to it is 0.
    for line, text in enumerate(TEXTS):
        expected = loss_by_definition(lowest[line], text, ENDS[line] if limited else None)
        assert losses[line] == pytest.approx(expected, rel=1e-4), text
    assert np.isfinite(grads).all()
    np.testing.assert_array_equal(grads[np.isneginf(masked)], 0)


def test_ends_that_cannot_be_met_cost_nothing(logits: np.ndarray) -> None:
    """A text fits its ends if there is a path, of all that there are, that says it in time."""
    rng = np.random.default_rng(3)
    texts = [TEXTS[number] for number in rng.integers(0, len(TEXTS), 60)]
    ends = [tuple(sorted(rng.integers(-2, 6, len(text)).tolist())) for text in texts]
    lengths = np.full(len(texts), NUM_STEPS, np.int32)
    flat = np.zeros((len(texts), NUM_STEPS, NUM_CLASSES), np.float32)
    arguments = lengths, padded(texts), counts(texts), padded(ends)
    losses = np.asarray(jitted(flat, *arguments, max_delay=DELAY))
    fits = np.asarray(jitted_fits(*arguments, max_delay=DELAY))
    for line, text in enumerate(texts):
        expected = loss_by_definition(flat[line], text, ends[line])
        assert fits[line] == np.isfinite(expected), (text, ends[line])
        assert losses[line] == pytest.approx(expected if fits[line] else 0, rel=1e-4)
    assert 10 < fits.sum() < 50


def test_steps_behind_a_sequence_reach_no_gradient_of_a_classifier(logits: np.ndarray) -> None:
    labels = jnp.arange(7, dtype=jnp.int32) % 3
    lengths = jnp.array([5, 4, 3, 2, 1, 0, 5], jnp.int32)
    behind = np.arange(NUM_STEPS) >= np.asarray(lengths)[:, None]

    def gradient(value: float) -> np.ndarray:
        filled = np.where(behind[..., None], np.float32(value), logits)

        def total(logits: jax.Array) -> jax.Array:
            return step_cross_entropy(logits, labels, lengths, step_weight=0.5).sum()

        return np.asarray(jax.jit(jax.grad(total))(jnp.asarray(filled)))

    expected = gradient(0)
    np.testing.assert_array_equal(gradient(np.nan), expected)
    np.testing.assert_array_equal(expected[behind], 0)
    assert np.abs(expected[~behind]).max() > 0
