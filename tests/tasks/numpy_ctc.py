"""CTC decoding by its definition: every path counted, or dictionaries of texts. In float64."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

Text = tuple[int, ...]
Run = tuple[int, int, int]
"""Symbol, first column, last column."""
Score = Callable[[Text], float]


def runs(path: Iterable[int]) -> list[Run]:
    found, column = [], 0
    for symbol, run in itertools.groupby(path):
        length = len(list(run))
        if symbol != 0:
            found.append((symbol, column, column + length - 1))
        column += length
    return found


def spelled(path: Iterable[int]) -> Text:
    return tuple(symbol for symbol, _, _ in runs(path))


def add(a: float, b: float) -> float:
    return float(np.logaddexp(a, b))


def all_paths(log_probs: np.ndarray) -> list[tuple[Text, float]]:
    """Every path over the columns and its log probability."""
    num_steps, num_classes = log_probs.shape
    return [
        (path, sum(log_probs[t, symbol] for t, symbol in enumerate(path)))
        for path in itertools.product(range(num_classes), repeat=num_steps)
    ]


def all_texts(log_probs: np.ndarray) -> dict[Text, float]:
    """Every text that has a path, and its log probability."""
    texts: dict[Text, float] = defaultdict(lambda: -math.inf)
    for path, log_prob in all_paths(log_probs):
        texts[spelled(path)] = add(texts[spelled(path)], log_prob)
    return dict(texts)


def confidence(log_probs: np.ndarray, run: Run) -> float:
    symbol, start, end = run
    return math.exp(max(log_probs[start : end + 1, symbol]))


def prefix_beam(
    log_probs: np.ndarray, beam_width: int, score: Score
) -> list[tuple[Text, float, float]]:
    """Texts, their log probabilities in the beam, and these with `score` (text) added."""
    beam = {(): (0.0, -math.inf)}
    for column in log_probs:
        following: dict[Text, list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for text, (in_blank, in_symbol) in beam.items():
            both = add(in_blank, in_symbol)
            following[text][0] = add(following[text][0], both + column[0])
            for symbol in range(1, len(column)):
                longer = following[(*text, symbol)]
                if text and text[-1] == symbol:
                    following[text][1] = add(following[text][1], in_symbol + column[symbol])
                    longer[1] = add(longer[1], in_blank + column[symbol])
                else:
                    longer[1] = add(longer[1], both + column[symbol])
        ranked = sorted(following, key=lambda text: -add(*following[text]) - score(text))
        kept = [text for text in ranked if add(*following[text]) + score(text) > -math.inf]
        beam = {text: (following[text][0], following[text][1]) for text in kept[:beam_width]}
    return [(text, add(*ends), add(*ends) + score(text)) for text, ends in beam.items()]


def no_score(text: Text) -> float:
    return 0.0


def bigram_score(texts: list[Text], num_classes: int) -> tuple[Score, Score]:
    """Log probability of a text that goes on, and of one that ends."""
    pairs = [pair for text in texts for pair in itertools.pairwise((0, *text, 0))]

    def log_prob(before: int, symbol: int) -> float:
        times = sum(first == before for first, _ in pairs)
        return math.log((pairs.count((before, symbol)) + 1) / (times + num_classes))

    def open_score(text: Text) -> float:
        return sum(log_prob(*pair) for pair in itertools.pairwise((0, *text)))

    return open_score, lambda text: open_score(text) + log_prob((0, *text)[-1], 0)


def word_score(words: list[Text], space: int) -> tuple[Score, Score]:
    """0 for what may go on to be words of the list, and for what is; else -inf."""

    def split(text: Text) -> list[Text]:
        parts: list[list[int]] = [[]]
        for symbol in text:
            if symbol == space:
                parts.append([])
            else:
                parts[-1].append(symbol)
        return [tuple(part) for part in parts]

    def open_score(text: Text) -> float:
        *whole, last = split(text)
        begins = any(word[: len(last)] == last for word in words)
        return 0.0 if begins and all(word in words for word in whole) else -math.inf

    def closed_score(text: Text) -> float:
        return 0.0 if text == () or all(part in words for part in split(text)) else -math.inf

    return open_score, closed_score
