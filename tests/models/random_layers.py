"""Recurrent layers with random weights and inputs, and how near two results are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.models.numpy_cells import PAIRS

CELL_NAMES, PATHS = ("lstm", "gru"), ("scan", "fused")
B, T, D, H = 3, 5, 3, 4
LENGTHS = np.array([5, 2, 0], np.int32)


def random_array(rng: np.random.Generator, *shape: int) -> Any:
    return jnp.asarray(0.7 * rng.normal(size=shape), jnp.float32)


def random_inputs(rng: np.random.Generator) -> Any:
    return random_array(rng, B, T, D)


def random_params(rng: np.random.Generator, layer: Any, input_size: int = D) -> Any:
    """Random everywhere, so that no term can be forgotten."""
    shapes = jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 1, input_size)))
    return jax.tree.map(lambda leaf: random_array(rng, *leaf.shape), shapes["params"])


def random_carry(rng: np.random.Generator, cell: str, batch: int = B, hidden: int = H) -> Any:
    first, second = (random_array(rng, batch, hidden) for _ in range(2))
    return (first, second) if cell in PAIRS else second


def spread_lengths(batch: int, num_steps: int) -> np.ndarray:
    return np.linspace(num_steps, 0, batch).round().astype(np.int32)


def with_nan_padding(inputs: Any, lengths: np.ndarray) -> Any:
    padding = np.arange(inputs.shape[1])[None] >= lengths[:, None]
    return jnp.where(padding[..., None], np.float32(np.nan), inputs)


def as_float64(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def assert_roughly(found: Any, expected: Any, share: float) -> None:
    """The difference is a small share of each array, in Euclidean length."""
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        one, other = np.float64(one), np.float64(other)
        assert np.linalg.norm(one - other) <= share * np.linalg.norm(other)


def total(outputs: Any, end: Any, weights: Any, asked: str) -> Any:
    """A different multiple of every number that is asked for."""
    read = {"outputs": outputs, "carry": end, "both": (outputs, end)}[asked]
    used = {"outputs": weights[0], "carry": weights[1], "both": weights}[asked]
    return sum(
        (a * b).sum() for a, b in zip(jax.tree.leaves(read), jax.tree.leaves(used), strict=True)
    )


def random_weights(rng: np.random.Generator, outputs: Any, end: Any) -> Any:
    return jax.tree.map(lambda leaf: random_array(rng, *leaf.shape), (outputs, end))


def assert_close(found: Any, expected: Any, atol: float = 5e-6) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), found, expected)


def assert_same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
