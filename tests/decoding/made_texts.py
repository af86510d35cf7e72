"""Random log probabilities to decode, texts as arrays, and how near two results are."""

from typing import Any

import jax
import numpy as np

from seqvision import decoding
from tests.tasks.numpy_ctc import Text

INF = np.float32(np.inf)

align, text_log_probability = jax.jit(decoding.align), jax.jit(decoding.text_log_probability)
greedy_decode = jax.jit(decoding.greedy_decode, static_argnames="max_symbols")


def random_log_probs(
    rng: np.random.Generator, *shape: int, scale: float = 1.5, holes: float = 0.0
) -> np.ndarray:
    """Log probabilities; a share `holes` of them is -inf, so that some sequences are impossible."""
    logits = scale * rng.normal(size=shape)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return np.where(rng.random(shape) < holes, -np.inf, log_probs).astype(np.float32)


def random_lengths(rng: np.random.Generator, batch: int, num_steps: int) -> np.ndarray:
    """From 0 to T, both included."""
    return rng.permutation(np.arange(batch) % (num_steps + 1)).astype(np.int32)


def part(tree: Any, *index: int) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


def text_of(decoded: Any) -> Text:
    """Of one sequence; checks that the rest is padding."""
    num = int(decoded.num_symbols)
    assert (decoded.symbols[:num] > 0).all()
    assert (decoded.symbols[num:] == 0).all()
    assert (decoded.starts[num:] == -1).all()
    assert (decoded.ends[num:] == -1).all()
    assert (decoded.confidences[num:] == 0).all()
    return tuple(decoded.symbols[:num].tolist())


def padded(texts: list[Text], size: int) -> tuple[np.ndarray, np.ndarray]:
    rows = [[*text, *[0] * (size - len(text))] for text in texts]
    lengths = [len(text) for text in texts]
    return np.asarray(rows, np.int32).reshape(-1, size), np.asarray(lengths, np.int32)


def near(found: Any, expected: Any, tolerance: float = 2e-5) -> bool:
    """Close, also where both are -inf."""
    return np.allclose(found, expected, rtol=tolerance, atol=tolerance)


def assert_same(found: Any, expected: Any) -> None:
    """Text and columns alike to the bit, numbers but for rounding."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.array_equal(a, b) if a.dtype != np.float32 else near(a, b, 1e-6)
