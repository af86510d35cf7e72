"""Beam search for the text, rather than the path, that is most probable."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float32

from seqvision.decoding.align import align_text, log_probability_of_text
from seqvision.decoding.decoded import BLANK, Decoded
from seqvision.decoding.greedy import greedy_decode
from seqvision.decoding.prefix_search import Prefixes, Scalar, Scoring, prefix_search
from seqvision.decoding.prior import Prior, indifferent, prior_log_probability
from seqvision.shapes import Lengths


class Beams(NamedTuple):
    """W texts for each sequence, best first.

    Attributes:
      decoded: the texts, (B, W, ...), with their alignments by `align`. `log_probability` is that
        of the text, summed over all its paths. Where fewer than W texts were found the last ones
        are empty and have -inf.
      scores: (B, W), what the texts are ordered by: `log_probability + prior_weight * log
        probability by the prior + insertion_bonus * num_symbols`. -inf where the prior forbids
        the text as it stands (its last word is not finished, say).
      truncated: (B,), True where max_symbols left too little room: a longer text was met that
        would have been kept.
    """

    decoded: Decoded
    scores: Float32[Array, "B W"]
    truncated: Bool[Array, " B"]


@partial(jax.jit, static_argnames=("beam_width", "max_symbols"))
def beam_decode(
    log_probs: Float32[Array, "B T K"],
    lengths: Lengths,
    *,
    beam_width: int,
    max_symbols: int,
    prior: Prior | None = None,
    prior_weight: Scalar = 1.0,
    insertion_bonus: Scalar = 0.0,
) -> Beams:
    """Prefix beam search; never worse than `greedy_decode`.

    The search keeps `beam_width` texts at a time (see prefix_search.py), so it knows their
    probabilities only by the paths that it kept. At the end the exact scores of its texts and of
    the greedy text are computed, and the best W of these W + 1 texts returned. So the first one's
    score is at least that of the greedy text, wherever `truncated` is False.

    Args:
      log_probs: log probabilities of the classes, class 0 being the blank. -inf is allowed.
      lengths: columns of each sequence; what follows them is ignored.
      beam_width: W. Time and memory grow with it.
      max_symbols: N, how many symbols there is room for.
      prior: of the texts; none by default.
      prior_weight: of the prior's log probabilities (alpha in Hannun et al.). What the prior
        forbids is forbidden at any weight.
      insertion_bonus: nats for each symbol, to make up for a prior that makes long texts less
        probable (beta there, where it is given for each word).

    Raises:
      ValueError: W or N is less than 1.
    """
    if beam_width < 1 or max_symbols < 1:
        raise ValueError(
            f"beam_width {beam_width}, max_symbols {max_symbols}: both must be 1 or more"
        )
    if prior is None:
        prior = indifferent(log_probs.shape[-1])
    scoring = Scoring(prior, prior_weight, insertion_bonus)
    greedy = greedy_decode(log_probs, lengths, max_symbols=max_symbols)

    def decode_one(log_probs: Array, length: Array, symbols: Array, num_symbols: Array) -> Beams:
        found = prefix_search(log_probs, length, scoring, beam_width, max_symbols)
        return _rescored(log_probs, length, found, symbols, num_symbols, scoring)

    return jax.vmap(decode_one)(log_probs, lengths, greedy.symbols, greedy.num_symbols)


def _rescored(
    log_probs: Array,
    length: Array,
    found: Prefixes,
    greedy_symbols: Array,
    greedy_num: Array,
    scoring: Scoring,
) -> Beams:
    """The best W of the W texts that were found and the greedy text, by their exact scores."""
    beam_width, max_symbols = found.symbols.shape
    exists = found.score > -jnp.inf
    fits = greedy_num <= max_symbols
    is_greedy = (found.symbols == greedy_symbols[None]).all(axis=1)
    exists = jnp.append(exists, fits & ~(exists & is_greedy).any())
    symbols = jnp.concatenate([found.symbols, greedy_symbols[None]])
    num_symbols = jnp.append(found.num_symbols, greedy_num)

    log_probability = jax.vmap(log_probability_of_text, (None, None, 0, 0))(
        log_probs, length, symbols, num_symbols
    )
    log_probability = jnp.where(exists, log_probability, -jnp.inf)
    by_prior = jax.vmap(prior_log_probability, (None, 0, 0))(scoring.prior, symbols, num_symbols)
    bonus = scoring.insertion_bonus * num_symbols.astype(jnp.float32)
    scores = log_probability + scoring.weighted(by_prior) + bonus

    scores, best = lax.top_k(scores, beam_width)
    log_probability = log_probability[best]
    possible = log_probability > -jnp.inf
    symbols = jnp.where(possible[:, None], symbols[best], BLANK)
    num_symbols = jnp.where(possible, num_symbols[best], 0)
    places = jax.vmap(align_text, (None, None, 0, 0))(log_probs, length, symbols, num_symbols)
    decoded = Decoded(
        symbols=symbols,
        num_symbols=num_symbols,
        starts=places.starts,
        ends=places.ends,
        confidences=places.confidences,
        log_probability=log_probability,
    )
    return Beams(decoded, scores, found.truncated | ~fits)
