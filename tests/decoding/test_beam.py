"""Beams and priors against every path counted and against dictionaries of texts."""

import itertools
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision import decoding
from seqvision.decoding import (
    Prior,
    bigram,
    create_prior,
    indifferent,
    word_list,
)
from seqvision.decoding.prefix_search import Scoring, prefix_search
from seqvision.decoding.prior import prior_log_probability
from tests.decoding.made_texts import (
    INF,
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
from tests.tasks.numpy_ctc import Text

TEXTS: list[Text] = [(1, 2, 2, 1), (2,), (1, 1, 2), ()]
WORDS: list[Text] = [(1,), (1, 2), (2, 2, 1), (2, 1)]
beam_decode = jax.jit(decoding.beam_decode, static_argnames=("beam_width", "max_symbols"))
search = jax.jit(jax.vmap(prefix_search, (0, 0, None, None, None)), static_argnums=(3, 4))
log_probabilities = jax.jit(jax.vmap(prior_log_probability, (None, 0, 0)))


def known(name: str, num_classes: int) -> tuple[Prior | None, float, Any, Any]:
    """A prior, the bonus, and what a text costs that goes on, and that ends, by hand."""
    if name == "bigram":
        goes_on, ends = numpy_ctc.bigram_score(TEXTS, num_classes)
        return (
            bigram(TEXTS, num_classes),
            0.4,
            lambda text: 0.7 * goes_on(text) + 0.4 * len(text),
            lambda text: 0.7 * ends(text) + 0.4 * len(text),
        )
    if name == "words":
        return word_list(WORDS, num_classes, 3), 0.0, *numpy_ctc.word_score(WORDS, 3)
    return None, 0.0, numpy_ctc.no_score, numpy_ctc.no_score


# At least as wide as there are texts for 3 classes and 5 columns.
wide_beam = partial(
    beam_decode, beam_width=63, max_symbols=5, prior_weight=0.7, insertion_bonus=0.0
)
narrow_beam = partial(beam_decode, beam_width=2, max_symbols=20)


@pytest.mark.parametrize("name", ["none", "bigram", "words"])
def test_a_wide_beam_finds_every_text_in_order(rng: np.random.Generator, name: str) -> None:
    """As wide as there are texts: the best one, and all others, with their exact probabilities."""
    num_classes = 4 if name == "words" else 3
    prior, bonus, _, score = known(name, num_classes)
    log_probs = random_log_probs(rng, 24, 5, num_classes)
    log_probs[12:] = random_log_probs(rng, 12, 5, num_classes, holes=0.25)
    lengths = random_lengths(rng, 24, 5)
    beams = wide_beam(log_probs, lengths, prior=prior, insertion_bonus=bonus)
    assert not beams.truncated.any()
    for i, length in enumerate(lengths):
        texts = numpy_ctc.all_texts(np.asarray(log_probs[i, :length], np.float64))
        scores = {text: log_prob + score(text) for text, log_prob in texts.items()}
        expected = sorted((s for s in scores.values() if s > -math.inf), reverse=True)
        num = len(expected)
        assert near(beams.scores[i, :num], expected)
        assert (beams.scores[i, num:] == -np.inf).all()
        decoded = [part(beams.decoded, i, w) for w in range(num)]
        found = [text_of(one) for one in decoded]
        assert len(set(found)) == num
        assert near([scores[text] for text in found], expected)
        assert near([one.log_probability for one in decoded], [texts[text] for text in found])


@pytest.mark.parametrize("name", ["none", "bigram", "words"])
def test_a_narrow_beam_is_that_of_dictionaries(rng: np.random.Generator, name: str) -> None:
    prior, bonus, score, _ = known(name, 5)
    log_probs, lengths = random_log_probs(rng, 12, 25, 5), np.arange(14, 26, dtype=np.int32)
    scoring = Scoring(prior or indifferent(5), jnp.float32(0.7), jnp.float32(bonus))
    found = search(log_probs, lengths, scoring, 4, 25)
    for i, length in enumerate(lengths):
        real = np.asarray(log_probs[i, :length], np.float64)
        expected = numpy_ctc.prefix_beam(real, 4, score)
        texts = [
            tuple(found.symbols[i, w, : found.num_symbols[i, w]].tolist())
            for w in range(len(expected))
        ]
        assert texts == [text for text, _, _ in expected]
        width = len(expected)
        log_probability = np.logaddexp(found.ends_in_blank[i], found.ends_in_symbol[i])
        assert near(log_probability[:width], [log_prob for _, log_prob, _ in expected])
        assert near(
            (log_probability + found.text_score[i])[:width], [total for _, _, total in expected]
        )


def test_beam_is_never_worse_than_greedy(rng: np.random.Generator) -> None:
    log_probs, lengths = random_log_probs(rng, 200, 20, 5), random_lengths(rng, 200, 20)
    greedy = greedy_decode(log_probs, lengths)
    by_greedy = text_log_probability(log_probs, lengths, greedy.symbols, greedy.num_symbols)
    best = jax.tree.map(lambda leaf: leaf[:, 0], narrow_beam(log_probs, lengths).decoded)
    assert (best.log_probability >= by_greedy).all()
    assert (best.log_probability > by_greedy + 0.1).any()
    exact = text_log_probability(log_probs, lengths, best.symbols, best.num_symbols)
    assert near(best.log_probability, exact)

    # The search alone would be worse, so the comparison at the end of `beam_decode` is needed.
    scoring = Scoring(indifferent(5), jnp.float32(0), jnp.float32(0))
    found = search(log_probs, lengths, scoring, 2, 20)
    symbols, num_symbols = found.symbols[:, 0], found.num_symbols[:, 0]
    alone = text_log_probability(log_probs, lengths, symbols, num_symbols)
    assert (alone < by_greedy - 0.01).any()


@pytest.mark.parametrize("decode", [greedy_decode, narrow_beam])
def test_alone_as_in_a_batch_and_padding_is_not_read(rng: np.random.Generator, decode: Any) -> None:
    log_probs, lengths = random_log_probs(rng, 200, 20, 5), random_lengths(rng, 200, 20)
    log_probs[np.arange(20)[None] >= lengths[:, None]] = np.nan
    together = decode(log_probs, lengths)
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(together))
    assert_same(decode(log_probs, lengths), together)
    for i in range(24):
        alone = decode(log_probs[i : i + 1], lengths[i : i + 1])
        assert_same(part(alone, 0), part(together, i))


def test_ties() -> None:
    """Classes that are all alike: still a best text, the same one every time."""
    log_probs = np.full((24, 5, 3), -math.log(3), np.float32)
    lengths = np.full(24, 5, np.int32)
    assert not greedy_decode(log_probs, lengths).num_symbols.any()
    beams = wide_beam(log_probs, lengths)
    texts = numpy_ctc.all_texts(np.asarray(log_probs[0], np.float64))
    assert near(beams.decoded.log_probability[0, 0], max(texts.values()))
    assert_same(part(beams, 0), part(beams, 23))


def test_nothing_is_possible() -> None:
    log_probs, lengths = np.full((24, 5, 3), -INF), np.full(24, 5, np.int32)
    assert (greedy_decode(log_probs, lengths).log_probability == -INF).all()
    beams = wide_beam(log_probs, lengths)
    assert not beams.decoded.num_symbols.any()
    assert (beams.scores == -INF).all()


def test_too_little_room_is_said(rng: np.random.Generator) -> None:
    path = np.asarray([1, 2, 0, 2, 1, 0])
    log_probs = np.log(np.where(path[:, None] == np.arange(3), 0.98, 0.01).astype(np.float32))
    lengths = np.asarray([6, 3], np.int32)
    beams = beam_decode(np.stack([log_probs] * 2), lengths, beam_width=2, max_symbols=3)
    assert beams.truncated.tolist() == [True, False]
    assert text_of(part(beams.decoded, 1, 0)) == (1, 2)
    with pytest.raises(ValueError, match="max_symbols 0: both must be 1 or more"):
        beam_decode(log_probs[None], lengths[:1], beam_width=2, max_symbols=0)


def test_words_decide_and_an_unfinished_one_is_said() -> None:
    """Read as 1 3 2 (3: the space), where 2 alone is no word; 1 2 is, and less probable."""
    is_read = np.asarray([1, 3, 2, 0, 0])[:, None] == np.arange(4)
    log_probs = np.log(np.where(is_read, 0.85, 0.05).astype(np.float32))[None].repeat(24, axis=0)
    prior, lengths = word_list(WORDS, 4, space=3), np.full(24, 3, np.int32)
    assert text_of(part(greedy_decode(log_probs, lengths), 0)) == (1, 3, 2)
    # No weight: what is forbidden stays so.
    wide = wide_beam(log_probs, lengths, prior=prior, prior_weight=0.0)
    assert text_of(part(wide.decoded, 0, 0)) == (1, 2)
    # 1 1 2, 1 2 2, 1 - 2; - 1 2, 1 2 -.
    assert near(wide.scores[0, 0], math.log(3 * 0.85**2 * 0.05 + 2 * 0.85 * 0.05**2))
    narrow = beam_decode(log_probs, lengths, beam_width=1, max_symbols=3, prior=prior)
    assert text_of(part(narrow.decoded, 0, 0)) == (1, 3, 2)
    assert narrow.scores[0, 0] == -INF


@pytest.mark.parametrize("name", ["bigram", "words"])
def test_priors_know_texts_as_those_by_hand_do(name: str) -> None:
    prior, bonus, _, ends = known(name, 4)
    texts = [text for n in range(6) for text in itertools.product((1, 2, 3), repeat=n)]
    symbols, num_symbols = padded(texts, 5)
    found = log_probabilities(prior, symbols, num_symbols)
    assert near(0.7 * found + bonus * num_symbols, [ends(text) for text in texts])
    if name == "bigram":
        assert near(np.exp(prior.log_prob).sum(axis=1), 1)
    else:
        assert 10 < np.isfinite(found).sum() < len(texts) / 2


def test_without_a_space_a_text_is_one_word_at_most() -> None:
    prior = word_list(WORDS, 4)
    texts: list[Text] = [(), (1,), (1, 2), (2, 1), (2,), (1, 3, 1), (1, 2, 1)]
    symbols, num_symbols = padded(texts, 3)
    found = log_probabilities(prior, symbols, num_symbols)
    assert np.asarray(found).tolist() == [0, 0, 0, 0, -INF, -INF, -INF]


def test_priors_by_name() -> None:
    """From rows of class numbers in numpy, as an alphabet encodes them."""
    rows = [np.asarray(text, np.int32) for text in TEXTS]
    assert_same(create_prior("bigram", rows, 4), bigram(TEXTS, 4))
    rows = [np.asarray(word, np.int32) for word in WORDS]
    assert_same(create_prior("words", rows, 4, space=3), word_list(WORDS, 4, 3))
    with pytest.raises(ValueError, match="prior 'trigram' is not known; choose one of bigram, wo"):
        create_prior("trigram", TEXTS, 4)


def test_a_prior_by_name_decides_between_texts() -> None:
    """1 alone has 0.9 (0.3 + 0.25) + 0.05 0.25 = 0.5075, and 1 2 has 0.9 0.45 = 0.405."""
    log_probs, lengths = np.full((24, 5, 3), np.nan, np.float32), np.full(24, 2, np.int32)
    log_probs[:, :2] = np.log([[0.05, 0.9, 0.05], [0.3, 0.25, 0.45]])
    assert text_of(part(wide_beam(log_probs, lengths).decoded, 0, 0)) == (1,)
    prior = create_prior("bigram", [(1, 2)] * 50, 3)
    decoded = wide_beam(log_probs, lengths, prior=prior).decoded
    assert text_of(part(decoded, 0, 0)) == (1, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bigram([(1, 4)], 4), r"symbol 4 of \[1, 4\]: must be 1 to 3"),
        (lambda: bigram([(0,)], 4), r"symbol 0 of \[0\]: must be 1 to 3"),
        (lambda: word_list([(1,), ()], 4, space=3), r"word \[\]: has no symbols"),
        (lambda: word_list([(1, 3)], 4, space=3), r"word \[1, 3\]: .* the space 3 in it"),
        (lambda: word_list([], 4, space=3), "no words"),
        (lambda: word_list([(1,)], 4, space=4), r"symbol 4 of \[4\]"),
    ],
)
def test_priors_refuse_what_is_no_text(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
