"""Priors over texts for beam search: a bigram model, or a list of words.

Every prior is a finite automaton that reads the text symbol by symbol, so that the beam search
needs one table only: the log probability of each symbol in each state, and the state after it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float32, Int, Int32

from seqvision.decoding.decoded import BLANK

Text = Sequence[int] | Int[np.ndarray, "_"]
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


PRIORS = ("bigram", "words")


def create_prior(
    name: str, texts: Iterable[Text], num_classes: int, space: int | None = None
) -> Prior:
    """The prior of that name, for `beam_decode`.

    Args:
      name: `bigram`, see `bigram`; or `words`, see `word_list`.
      texts: class numbers: the training texts for `bigram`, the words for `words`.
      num_classes: K, with the blank.
      space: the class that separates words; see `word_list`. Not read by `bigram`.

    Raises:
      ValueError: there is no such prior; or as the function of that name.
    """
    if name == "bigram":
        return bigram(texts, num_classes)
    if name == "words":
        return word_list(texts, num_classes, space)
    raise ValueError(f"prior '{name}' is not known; choose one of {', '.join(PRIORS)}")


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
        symbols = _checked(text, num_classes)
        np.add.at(counts, ([BLANK, *symbols], [*symbols, BLANK]), 1)
    log_prob = np.log(counts / counts.sum(axis=1, keepdims=True))
    return _prior(np.tile(np.arange(num_classes), (num_classes, 1)), log_prob)


def word_list(words: Iterable[Text], num_classes: int, space: int | None = None) -> Prior:
    """Allows the empty text, and words of the list with one space between two of them.

    All allowed texts are equally probable (log probability 0). The states are the nodes of a trie.

    Args:
      words: class numbers of each word.
      num_classes: K.
      space: the class that separates words; None: a text is one word at most.

    Raises:
      ValueError: the list is empty, a word is empty or contains the space, or a symbol is not 1 to
        K - 1.
    """
    if space is not None:
        _checked([space], num_classes)
    # A word begins at state 1; state 0 is the same before the first word, where a text may end.
    begin = 1
    nodes: list[dict[int, int]] = [{}, {}]
    word_ends: set[int] = set()
    for word in words:
        symbols = _checked(word, num_classes)
        if not symbols or space in symbols:
            raise ValueError(f"word {symbols}: has no symbols, or the space {space} in it")
        node = begin
        for symbol in symbols:
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
        log_prob[node, BLANK] = 0
        if space is not None:
            transition[node, space], log_prob[node, space] = begin, 0
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
        symbol, is_symbol = item
        gain = jnp.where(is_symbol, prior.log_prob[state, symbol], 0.0)
        return jnp.where(is_symbol, prior.transition[state, symbol], state), gain

    symbol_mask = jnp.arange(symbols.shape[0]) < num_symbols
    end, gains = lax.scan(step, prior.start, (symbols, symbol_mask))
    return gains.sum() + prior.log_prob[end, BLANK]


def _prior(transition: np.ndarray, log_prob: np.ndarray) -> Prior:
    return Prior(
        start=jnp.asarray(0, jnp.int32),
        transition=jnp.asarray(transition, jnp.int32),
        log_prob=jnp.asarray(log_prob, jnp.float32),
    )


def _checked(text: Text, num_classes: int) -> list[int]:
    symbols = [int(symbol) for symbol in text]
    wrong = [symbol for symbol in symbols if not 1 <= symbol < num_classes]
    if wrong:
        raise ValueError(f"symbol {wrong[0]} of {symbols}: must be 1 to {num_classes - 1}")
    return symbols
