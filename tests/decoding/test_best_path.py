"""Greedy decoding and alignment against their definition: every path counted."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqvision.decoding import (
    greedy_finish,
    greedy_read,
    greedy_start,
    greedy_step,
)
from tests.decoding.made_texts import (
    INF,
    align,
    assert_same,
    greedy_decode,
    near,
    padded,
    part,
    random_lengths,
    random_log_probs,
    text_log_probability,
    text_of,
)
from tests.tasks import numpy_ctc


@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_greedy_is_the_text_of_the_best_path(rng: np.random.Generator, holes: float) -> None:
    log_probs = random_log_probs(rng, 48, 5, 3, holes=holes)
    lengths = random_lengths(rng, 48, 5)
    decoded = greedy_decode(log_probs, lengths)
    for i, length in enumerate(lengths):
        real = np.asarray(log_probs[i, :length], np.float64)
        path, log_prob = max(numpy_ctc.all_paths(real), key=lambda pair: pair[1])
        one, runs = part(decoded, i), numpy_ctc.runs(path)
        assert near(one.log_probability, log_prob)
        if log_prob == -math.inf:
            continue  # Every path is as good.
        assert text_of(one) == numpy_ctc.spelled(path)
        assert one.starts[: len(runs)].tolist() == [start for _, start, _ in runs]
        assert one.ends[: len(runs)].tolist() == [end for _, _, end in runs]
        assert near(one.confidences[: len(runs)], [numpy_ctc.confidence(real, run) for run in runs])


def test_greedy_by_hand() -> None:
    """Repeats are one symbol, two with a blank between; of equal classes the lowest wins."""
    path = [0, 2, 2, 0, 2, 1, 1, 0]
    probabilities = np.full((1, 8, 3), 0.1, np.float32)
    probabilities[0, np.arange(8), path] = [0.8, 0.5, 0.7, 0.8, 0.6, 0.8, 0.8, 0.8]
    probabilities[0, 7] = 1 / 3
    one = part(greedy_decode(np.log(probabilities), np.asarray([8], np.int32)), 0)
    assert text_of(one) == (2, 2, 1)
    assert one.starts[:3].tolist() == [1, 4, 5]
    assert one.ends[:3].tolist() == [2, 4, 6]
    assert near(one.confidences[:3], [0.7, 0.6, 0.8])


def test_greedy_says_how_many_symbols_there_were(rng: np.random.Generator) -> None:
    log_probs, lengths = random_log_probs(rng, 9, 12, 4), random_lengths(rng, 9, 12)
    whole, short = (greedy_decode(log_probs, lengths, max_symbols=n) for n in (12, 3))
    assert_same(short.num_symbols, whole.num_symbols)
    assert short.num_symbols.max() > 3
    assert_same(short.symbols, whole.symbols[:, :3])
    assert_same(short.ends, whole.ends[:, :3])


def test_live_greedy_is_the_offline_one(rng: np.random.Generator) -> None:
    """Cut anywhere, with columns at which nothing arrives for some of the streams."""
    batch, num_steps = 32, 40
    real = rng.random((batch, num_steps)) < 0.7
    log_probs = random_log_probs(rng, batch, num_steps, 4)
    log_probs[~real] = np.nan
    lengths = real.sum(axis=1).astype(np.int32)
    together = np.zeros_like(log_probs)
    for i, length in enumerate(lengths):
        together[i, :length] = log_probs[i, real[i]]
    offline = greedy_decode(together, lengths)

    state, events = greedy_start(batch), []
    read = jax.jit(greedy_read)
    cuts = [0, *sorted(rng.choice(np.arange(1, num_steps), 2, replace=False).tolist()), num_steps]
    for first, last in itertools.pairwise(cuts):
        state, some = read(state, log_probs[:, first:last], real[:, first:last])
        events.append(some)
    events.append(jax.tree.map(lambda leaf: leaf[:, None], greedy_finish(state)))
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *events)

    assert np.array_equal(state.num_columns, lengths)
    assert np.array_equal(state.log_probability, offline.log_probability)
    for i in range(batch):
        ended, num = joined.ended[i] > 0, offline.num_symbols[i]
        assert np.array_equal(joined.ended[i][ended], offline.symbols[i, :num])
        assert np.array_equal(joined.starts[i][ended], offline.starts[i, :num])
        assert np.array_equal(joined.ends[i][ended], offline.ends[i, :num])
        assert near(joined.confidences[i][ended], offline.confidences[i, :num], 1e-6)
        # A symbol is told of at its first column, its end with the column after its last.
        begun = np.flatnonzero(joined.begun[i])
        columns = np.cumsum(real[i]) - 1
        assert np.array_equal(joined.begun[i][begun], offline.symbols[i, :num])
        assert np.array_equal(columns[begun], offline.starts[i, :num])


def test_one_step_is_one_column_of_many(rng: np.random.Generator) -> None:
    log_probs, real = random_log_probs(rng, 3, 6, 4), np.ones((3, 6), bool)
    many, events = greedy_read(greedy_start(3), jnp.asarray(log_probs), jnp.asarray(real))
    state = greedy_start(3)
    for t in range(6):
        state, one = greedy_step(state, jnp.asarray(log_probs[:, t]), jnp.asarray(real[:, t]))
        assert_same(one, jax.tree.map(lambda leaf, t=t: leaf[:, t], events))
    assert_same(state, many)


def test_align_takes_the_best_path(rng: np.random.Generator) -> None:
    texts = [text for n in range(5) for text in itertools.product((1, 2), repeat=n)]
    symbols, num_symbols = padded(texts, 4)
    for length, holes in [(0, 0.0), (3, 0.0), (4, 0.0), (5, 0.0), (5, 0.2)]:
        log_probs = random_log_probs(rng, 5, 3, holes=holes)
        real = np.asarray(log_probs[:length], np.float64)
        repeated = np.repeat(log_probs[None], len(texts), axis=0)
        lengths = np.full(len(texts), length, np.int32)
        places = align(repeated, lengths, symbols, num_symbols)
        total = text_log_probability(repeated, lengths, symbols, num_symbols)
        every_path, expected_total = numpy_ctc.all_paths(real), numpy_ctc.all_texts(real)
        for i, text in enumerate(texts):
            spelling = [(path, p) for path, p in every_path if numpy_ctc.spelled(path) == text]
            path, best = max(spelling, key=lambda pair: pair[1], default=((), -math.inf))
            one = part(places, i)
            assert near(one.log_probability, best)
            assert near(total[i], expected_total.get(text, -math.inf))
            runs = numpy_ctc.runs(path) if best > -math.inf else []
            padding = [-1] * (4 - len(runs))
            assert one.starts.tolist() == [start for _, start, _ in runs] + padding
            assert one.ends.tolist() == [end for _, _, end in runs] + padding
            confidences = [numpy_ctc.confidence(real, run) for run in runs]
            assert near(one.confidences, confidences + [0] * len(padding))
    # More symbols than there is room for.
    assert (align(repeated, lengths, symbols, num_symbols * 0 + 5).log_probability == -INF).all()


def test_greedy_text_is_aligned_where_greedy_found_it(rng: np.random.Generator) -> None:
    log_probs, lengths = random_log_probs(rng, 16, 30, 5), random_lengths(rng, 16, 30)
    greedy = greedy_decode(log_probs, lengths)
    places = align(log_probs, lengths, greedy.symbols, greedy.num_symbols)
    assert_same(places, (greedy.starts, greedy.ends, greedy.confidences, greedy.log_probability))


def test_text_log_probability_is_minus_the_loss_of_optax(rng: np.random.Generator) -> None:
    log_probs, lengths = random_log_probs(rng, 16, 30, 5), np.arange(15, 31, dtype=np.int32)
    symbols, num_symbols = padded([tuple(rng.integers(1, 5, n % 7)) for n in range(16)], 7)
    loss = optax.ctc_loss(
        log_probs,
        (np.arange(30)[None] >= lengths[:, None]).astype(np.float32),
        symbols,
        (np.arange(7)[None] >= num_symbols[:, None]).astype(np.float32),
    )
    assert near(text_log_probability(log_probs, lengths, symbols, num_symbols), -loss)
    # More symbols than there is room for are impossible.
    num_symbols[:] = 8
    assert (text_log_probability(log_probs, lengths, symbols, num_symbols) == -INF).all()
