"""Prefix beam search (Hannun et al., 2014, https://arxiv.org/abs/1408.2873, algorithm 1).

The beam holds W texts, each one the beginning of what may stand on the line. With every column a
text stays as it is, or grows by one symbol; of all these the W best are kept. Many paths spell one
text: their probabilities are added up, apart for those that end in a blank and those that end in
the last symbol, since only after a blank the same symbol begins anew.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float32, Int32

from seqvision.decoding.decoded import BLANK
from seqvision.decoding.prior import Prior

Scalar = float | Float32[Array, ""]


class Scoring(NamedTuple):
    """What is added to the log probability of a text.

    Attributes:
      prior: of the texts.
      prior_weight: of the prior's log probabilities.
      insertion_bonus: nats for each symbol.
    """

    prior: Prior
    prior_weight: Scalar
    insertion_bonus: Scalar

    def weighted(self, log_prob: Float32[Array, "..."]) -> Float32[Array, "..."]:
        """The prior's log probability times its weight. What it forbids stays so at any weight."""
        return jnp.where(log_prob == -jnp.inf, -jnp.inf, self.prior_weight * log_prob)


class Prefixes(NamedTuple):
    """The beam: W texts, best first, no two alike. An entry without a text has the score -inf.

    Attributes:
      symbols: (W, N), padded with 0.
      num_symbols: (W,).
      ends_in_blank, ends_in_symbol: (W,), log probability of the paths in the beam that spell the
        text and end so.
      prior_state: (W,), the state of the prior after the text.
      text_score: (W,), weighted log probability by the prior, and the bonus for each symbol.
      truncated: (), True once a text was dropped only for having more than N symbols.
    """

    symbols: Int32[Array, "W N"]
    num_symbols: Int32[Array, " W"]
    ends_in_blank: Float32[Array, " W"]
    ends_in_symbol: Float32[Array, " W"]
    prior_state: Int32[Array, " W"]
    text_score: Float32[Array, " W"]
    truncated: Bool[Array, ""]

    @property
    def log_probability(self) -> Float32[Array, " W"]:
        """Of the paths in the beam that spell each text: at most that of all paths."""
        return jnp.logaddexp(self.ends_in_blank, self.ends_in_symbol)

    @property
    def score(self) -> Float32[Array, " W"]:
        return self.log_probability + self.text_score


def prefix_search(
    log_probs: Float32[Array, "T K"],
    length: Int32[Array, ""],
    scoring: Scoring,
    beam_width: int,
    max_symbols: int,
) -> Prefixes:
    """The W best texts of one sequence; arguments as for `beam_decode`.

    The end of the text does not count here: the prior may forbid to end so.
    """

    def step(prefixes: Prefixes, column: tuple[Array, Array]) -> tuple[Prefixes, None]:
        log_probs, is_step = column
        after = _advance(prefixes, log_probs, scoring)
        return jax.tree.map(lambda new, old: jnp.where(is_step, new, old), after, prefixes), None

    nothing = jnp.full(beam_width, -jnp.inf, jnp.float32)
    empty = Prefixes(
        symbols=jnp.full((beam_width, max_symbols), BLANK, jnp.int32),
        num_symbols=jnp.zeros(beam_width, jnp.int32),
        ends_in_blank=nothing.at[0].set(0.0),
        ends_in_symbol=nothing,
        prior_state=jnp.full(beam_width, scoring.prior.start, jnp.int32),
        text_score=jnp.zeros(beam_width, jnp.float32),
        truncated=jnp.zeros((), jnp.bool_),
    )
    step_mask = jnp.arange(log_probs.shape[0]) < length
    return lax.scan(step, empty, (log_probs, step_mask))[0]


def _advance(prefixes: Prefixes, log_probs: Float32[Array, " K"], scoring: Scoring) -> Prefixes:
    """The beam after one more column."""
    prior = scoring.prior
    beam_width, max_symbols = prefixes.symbols.shape
    num_classes = log_probs.shape[0]
    at_last = jnp.maximum(prefixes.num_symbols - 1, 0)[:, None]
    last = jnp.take_along_axis(prefixes.symbols, at_last, axis=1)[:, 0]  # Of no symbols: blank.

    # Texts that grow, (W, K): by their last symbol only after a blank, by others always.
    classes = jnp.arange(num_classes)[None]
    repeats = last[:, None] == classes
    so_far = prefixes.log_probability
    grown = log_probs[None] + jnp.where(repeats, prefixes.ends_in_blank[:, None], so_far[:, None])

    # Texts that stay. Where the one that grows into them is in the beam too, they become one.
    parent, has_parent = _parents(prefixes)
    from_parent = jnp.where(has_parent, grown[parent, last], -jnp.inf)
    stay_blank = so_far + log_probs[BLANK]
    stay_symbol = jnp.logaddexp(prefixes.ends_in_symbol + log_probs[last], from_parent)
    grown = grown.at[jnp.where(has_parent, parent, beam_width), last].set(-jnp.inf, mode="drop")

    # A blank is no symbol: its column takes the texts that stay.
    choices = grown.at[:, BLANK].set(jnp.logaddexp(stay_blank, stay_symbol))
    gains = scoring.weighted(prior.log_prob[prefixes.prior_state]) + scoring.insertion_bonus
    text_scores = prefixes.text_score[:, None] + gains.at[:, BLANK].set(0.0)
    scores = choices + text_scores
    too_long = (prefixes.num_symbols == max_symbols)[:, None] & (classes != BLANK)
    kept, best = lax.top_k(jnp.where(too_long, -jnp.inf, scores).ravel(), beam_width)
    would_be_kept = jnp.where(too_long, scores, -jnp.inf).max() > kept[-1]

    source, symbol = best // num_classes, best % num_classes
    grows = symbol != BLANK
    num_symbols = prefixes.num_symbols[source]
    is_new = (jnp.arange(max_symbols)[None] == num_symbols[:, None]) & grows[:, None]
    state = prefixes.prior_state[source]
    return Prefixes(
        symbols=jnp.where(is_new, symbol[:, None], prefixes.symbols[source]),
        num_symbols=num_symbols + grows.astype(jnp.int32),
        ends_in_blank=jnp.where(grows, -jnp.inf, stay_blank[source]),
        ends_in_symbol=jnp.where(grows, grown[source, symbol], stay_symbol[source]),
        prior_state=jnp.where(grows, prior.transition[state, symbol], state),
        text_score=text_scores[source, symbol],
        truncated=prefixes.truncated | would_be_kept,
    )


def _parents(prefixes: Prefixes) -> tuple[Int32[Array, " W"], Bool[Array, " W"]]:
    """For each text, which one in the beam it is without its last symbol, and whether any is.

    Whole texts are compared, so two of them are never taken for one.
    """
    max_symbols = prefixes.symbols.shape[1]
    is_last = jnp.arange(max_symbols)[None] == prefixes.num_symbols[:, None] - 1
    shorter = jnp.where(is_last, BLANK, prefixes.symbols)
    exists = prefixes.score > -jnp.inf
    is_parent = (prefixes.symbols[:, None] == shorter[None]).all(axis=-1)
    is_parent &= exists[:, None] & (exists & (prefixes.num_symbols > 0))[None]
    return jnp.argmax(is_parent, axis=0).astype(jnp.int32), is_parent.any(axis=0)
