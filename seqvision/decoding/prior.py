"""What is known about texts before anything is read: how probable they are, or which exist.

Every prior is a finite automaton that reads the text symbol by symbol, so that the beam search
knows one thing only: in this state, this symbol costs that much and leads to that state.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float32, Int32

from seqvision.decoding.decoded import BLANK

Text = Sequence[int]
"""Symbols, 1 to K - 1."""


class Prior(NamedTuple):
    """A finite automaton of S states over K classes.

    The blank is never part of a text; its column stands for the end of the text.

    Attributes:
      start: int32 (), the state before the first symbol.
      transition: int32 (S, K), the state after each symbol.
      log_prob: float32 (S, K), log probability (nats) of each symbol as the next one, and of the
        end in column 0; -inf forbids.
    """

    start: Int32[Array, ""]
    transition: Int32[Array, "S K"]
    log_prob: Float32[Array, "S K"]


def indifferent(num_classes: int) -> Prior:
    """Adds nothing to any text."""
    return _prior(np.zeros((1, num_classes)), np.zeros((1, num_classes)))


def bigram(texts: Iterable[Text], num_classes: int) -> Prior:
    """How often a symbol follows another one, with add-one smoothing (Laplace).

    The state is the symbol before; the blank's row stands for the start of the text. Each row is
    a distribution over the K - 1 symbols and the end of the text.

    Raises:
      ValueError: a symbol is not 1 to K - 1.
    """
    counts = np.ones((num_classes, num_classes))
    for text in texts:
        _check(text, num_classes)
        np.add.at(counts, ([BLANK, *text], [*text, BLANK]), 1)
    log_prob = np.log(counts / counts.sum(axis=1, keepdims=True))
    return _prior(np.tile(np.arange(num_classes), (num_classes, 1)), log_prob)


def word_list(words: Iterable[Text], num_classes: int, space: int) -> Prior:
    """Allows the empty text, and words of the list with one space between two of them.

    All allowed texts are alike (log probability 0). The states are the nodes of a trie.

    Raises:
      ValueError: the list is empty, a word is empty or contains the space, or a symbol is not 1 to
        K - 1.
    """
    _check([space], num_classes)
    # A word begins at state 1; state 0 is the same before the first word, where a text may end.
    begin = 1
    nodes: list[dict[int, int]] = [{}, {}]
    word_ends: set[int] = set()
    for word in words:
        _check(word, num_classes)
        if not word or space in word:
            raise ValueError(f"word {list(word)}: has no symbols, or the space {space} in it")
        node = begin
        for symbol in word:
            if symbol not in nodes[node]:
                nodes[node][symbol] = len(nodes)
                nodes.append({})
            node = nodes[node][symbol]
        word_ends.add(node)
    if not word_ends:
        raise ValueError("the list has no words; give one or more")
    nodes[0] = nodes[begin]
    transition = np.zeros((len(nodes), num_classes))
    log_prob = np.full((len(nodes), num_classes), -np.inf)
    for node, continuations in enumerate(nodes):
        for symbol, target in continuations.items():
            transition[node, symbol], log_prob[node, symbol] = target, 0
    for node in word_ends:
        transition[node, space], log_prob[node, space] = begin, 0
        log_prob[node, BLANK] = 0
    log_prob[0, BLANK] = 0
    return _prior(transition, log_prob)


def prior_log_probability(
    prior: Prior, symbols: Int32[Array, " N"], num_symbols: Int32[Array, ""]
) -> Float32[Array, ""]:
    """Log probability (nats) of one text and its end; -inf where the prior forbids it.

    Args:
      prior: any one.
      symbols: the text, padded.
      num_symbols: how many symbols it has.
    """

    def step(state: Array, item: tuple[Array, Array]) -> tuple[Array, Array]:
        symbol, real = item
        gain = jnp.where(real, prior.log_prob[state, symbol], 0.0)
        return jnp.where(real, prior.transition[state, symbol], state), gain

    real = jnp.arange(symbols.shape[0]) < num_symbols
    end, gains = lax.scan(step, prior.start, (symbols, real))
    return gains.sum() + prior.log_prob[end, BLANK]


def _prior(transition: np.ndarray, log_prob: np.ndarray) -> Prior:
    return Prior(
        start=jnp.asarray(0, jnp.int32),
        transition=jnp.asarray(transition, jnp.int32),
        log_prob=jnp.asarray(log_prob, jnp.float32),
    )


def _check(text: Text, num_classes: int) -> None:
    wrong = [symbol for symbol in text if not 1 <= symbol < num_classes]
    if wrong:
        raise ValueError(f"symbol {wrong[0]} of {list(text)}: must be 1 to {num_classes - 1}")
