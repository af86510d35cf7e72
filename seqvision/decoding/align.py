"""The columns of a given text, and its probability, from all the paths that spell it.

A path that spells the text goes through 2N + 1 places: a blank before, between and after the
symbols, and the symbols. From column to column it stays, moves on by one place, or skips the blank
between two symbols that differ (Graves et al., 2006, section 4.1). `align` takes the best path,
`text_log_probability` sums over all of them: one recursion, with a maximum or a sum.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float32, Int32

from seqvision.decoding.decoded import BLANK
from seqvision.shapes import Lengths


class Alignment(NamedTuple):
    """Columns of the symbols of texts; as in `Decoded`.

    Attributes:
      starts, ends: int32 (*batch, N), -1 for padding and where the text cannot be aligned.
      confidences: float32 (*batch, N), 0 there.
      log_probability: float32 (*batch,), of the best path that spells the text; -inf where the
        text cannot be aligned: it has too few columns, a probability of 0, or more than N symbols.
    """

    starts: Int32[Array, "*batch N"]
    ends: Int32[Array, "*batch N"]
    confidences: Float32[Array, "*batch N"]
    log_probability: Float32[Array, "*batch"]


@jax.jit
def align(
    log_probs: Float32[Array, "B T K"],
    lengths: Lengths,
    symbols: Int32[Array, "B N"],
    num_symbols: Int32[Array, " B"],
) -> Alignment:
    """The columns of each symbol of given texts, on the most probable path that spells each text.

    For texts that are known, such as labels; beam search aligns what it found in the same way. Of
    equal paths, it is the one that is as far as it can be, as early as it can be.

    Args:
      log_probs: log probabilities of the classes, class 0 being the blank.
      lengths: columns of each sequence.
      symbols: the texts, padded with 0.
      num_symbols: how many symbols each has.
    """
    return jax.vmap(align_text)(log_probs, lengths, symbols, num_symbols)


@jax.jit
def text_log_probability(
    log_probs: Float32[Array, "B T K"],
    lengths: Lengths,
    symbols: Int32[Array, "B N"],
    num_symbols: Int32[Array, " B"],
) -> Float32[Array, " B"]:
    """Log probability (nats) of each text, summed over all paths that spell it.

    It is minus the CTC loss, but -inf where the text cannot be aligned. Arguments as for `align`.
    """
    return jax.vmap(log_probability_of_text)(log_probs, lengths, symbols, num_symbols)


def align_text(
    log_probs: Float32[Array, "T K"],
    length: Int32[Array, ""],
    symbols: Int32[Array, " N"],
    num_symbols: Int32[Array, ""],
) -> Alignment:
    """`align` for one text."""
    num_steps = log_probs.shape[0]
    places = _places(symbols)
    columns = jnp.arange(num_steps, dtype=jnp.int32)
    step_mask = columns < length

    def forward(scores: Array, column: tuple[Array, Array]) -> tuple[Array, Array]:
        log_probs, is_step = column
        arrivals = _arrivals(scores, places)
        moved = jnp.where(is_step, jnp.argmax(arrivals, axis=0), 0).astype(jnp.int8)
        return jnp.where(is_step, arrivals.max(axis=0) + log_probs[places], scores), moved

    scores, moves = lax.scan(forward, _before_the_first(places), (log_probs, step_mask))
    last, last_scores = _last(scores, num_symbols)
    log_probability = last_scores.max()

    def backward(place: Array, moves: Array) -> tuple[Array, Array]:
        return place - moves[place].astype(jnp.int32), place

    # The path of a text that cannot be aligned is meaningless: it is masked below.
    _, path = lax.scan(backward, last[jnp.argmax(last_scores)], moves, reverse=True)

    size = symbols.shape[0]
    symbol = jnp.where(step_mask & (path % 2 == 1), path // 2, size)  # `size`: none; dropped.
    path_log_probs = log_probs[columns, places[path]]
    starts = jnp.full(size, num_steps, jnp.int32).at[symbol].min(columns, mode="drop")
    ends = jnp.full(size, -1, jnp.int32).at[symbol].max(columns, mode="drop")
    highest = jnp.full(size, -jnp.inf, jnp.float32).at[symbol].max(path_log_probs, mode="drop")
    aligned = (jnp.arange(size) < num_symbols) & (log_probability > -jnp.inf)
    return Alignment(
        starts=jnp.where(aligned, starts, -1),
        ends=jnp.where(aligned, ends, -1),
        confidences=jnp.where(aligned, jnp.exp(highest), 0.0),
        log_probability=log_probability,
    )


def log_probability_of_text(
    log_probs: Float32[Array, "T K"],
    length: Int32[Array, ""],
    symbols: Int32[Array, " N"],
    num_symbols: Int32[Array, ""],
) -> Float32[Array, ""]:
    """`text_log_probability` for one text."""
    places = _places(symbols)
    step_mask = jnp.arange(log_probs.shape[0]) < length

    def forward(scores: Array, column: tuple[Array, Array]) -> tuple[Array, None]:
        log_probs, is_step = column
        arrived = jax.nn.logsumexp(_arrivals(scores, places), axis=0)
        return jnp.where(is_step, arrived + log_probs[places], scores), None

    scores, _ = lax.scan(forward, _before_the_first(places), (log_probs, step_mask))
    return jax.nn.logsumexp(_last(scores, num_symbols)[1])


def _places(symbols: Int32[Array, " N"]) -> Int32[Array, " places"]:
    """The class at each place of a path: blank, symbol, blank, symbol, ..., blank."""
    return jnp.full(2 * symbols.shape[0] + 1, BLANK, jnp.int32).at[1::2].set(symbols)


def _before_the_first(places: Int32[Array, " places"]) -> Float32[Array, " places"]:
    """Scores before any column, in the first blank: a path stays there or moves on."""
    return jnp.full(places.shape, -jnp.inf, jnp.float32).at[0].set(0.0)


def _arrivals(
    scores: Float32[Array, " places"], places: Int32[Array, " places"]
) -> Float32[Array, "3 places"]:
    """Scores of the ways to arrive at each place: from itself, from one and from two before it."""

    def shifted(values: Array, by: int, fill: float) -> Array:
        return jnp.concatenate([jnp.full(by, fill, values.dtype), values])[: values.shape[0]]

    may_skip = (places != BLANK) & (places != shifted(places, 2, BLANK))
    two_before = jnp.where(may_skip, shifted(scores, 2, -jnp.inf), -jnp.inf)
    return jnp.stack([scores, shifted(scores, 1, -jnp.inf), two_before])


def _last(
    scores: Float32[Array, " places"], num_symbols: Int32[Array, ""]
) -> tuple[Int32[Array, "2"], Float32[Array, "2"]]:
    """The places where a path may end, the last symbol and the blank after it, and their scores."""
    outside = scores.shape[0]
    symbol = jnp.where(num_symbols > 0, 2 * num_symbols - 1, outside)
    last = jnp.stack([symbol, 2 * num_symbols])
    return last, scores.at[last].get(mode="fill", fill_value=-jnp.inf)
