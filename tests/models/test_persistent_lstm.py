"""The persistent LSTM in Pallas's interpreter: all that its kernels compute, but not their speed.

The kernels themselves run on a GPU: `python -m benchmarks.accelerator --parts=parity`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models.execution.choose import choose_execution
from seqvision.models.execution.persistent_lstm import persistent_lstm
from seqvision.models.recurrent import Recurrent, RecurrentStack
from tests.models import numpy_cells

ROUNDING = {"float32": 5e-4, "bfloat16": 5e-3}
"""Shares of the length of an array: numbers of 11 and of 8 significant bits, rounded, are wrong by
2^-12 and 2^-9 of themselves at most half of the time."""

CASES = [
    # B, T, D, H, lengths, reverse, dropout, dtype
    (3, 5, 3, 4, None, False, False, "float32"),
    (9, 7, 5, 20, None, True, True, "float32"),
    (4, 6, 2, 16, (6, 0, 1, 4), True, False, "float32"),
    (2, 1, 4, 5, (1, 0), False, True, "float32"),
    (3, 4, 40, 9, (2, 4, 3), False, False, "bfloat16"),
]


def example(case: Any) -> Any:
    batch, num_steps, inputs, hidden, lengths, _, dropout, _ = case
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return jnp.asarray(rng.normal(size=shape) / np.sqrt(shape[0]), jnp.float32)

    params = draw(inputs, 4 * hidden), draw(hidden, 4 * hidden), draw(4 * hidden)
    arrays = draw(batch, num_steps, inputs), (draw(batch, hidden), draw(batch, hidden))
    weights = draw(batch, num_steps, hidden), (draw(batch, hidden), draw(batch, hidden))
    step_mask = None
    if lengths is not None:
        step_mask = jnp.arange(num_steps)[None] < jnp.asarray(lengths)[:, None]
    mask = jnp.asarray(rng.random((batch, hidden)) > 0.3, jnp.float32) if dropout else None
    return params, arrays, weights, step_mask, mask


def weighted_sum(weights: Any, result: Any) -> Any:
    return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), weights, result)))


def assert_roughly(found: Any, expected: Any, share: float) -> None:
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        difference = np.linalg.norm(np.float64(one) - np.float64(other))
        assert difference <= share * np.linalg.norm(np.float64(other))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_equations_in_float64(case: Any) -> None:
    params, arrays, weights, step_mask, mask = example(case)
    *_, lengths, reverse, _, dtype = case
    lstm = partial(persistent_lstm, reverse=reverse, dtype=jnp.dtype(dtype), interpret=True)

    @jax.jit
    def read(params: Any, arrays: Any) -> Any:
        def loss(params: Any, arrays: Any) -> Any:
            result = persistent_lstm(
                *params,
                *arrays,
                step_mask,
                mask,
                reverse=reverse,
                dtype=jnp.dtype(dtype),
                interpret=True,
            )
            return weighted_sum(weights, result), result

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, arrays)

    gradients, found = read(params, arrays)
    leaves, structure = jax.tree.flatten((params, arrays))
    leaves = [np.float64(leaf) for leaf in leaves]

    def expected(leaves: Any) -> Any:
        params, (inputs, carry) = jax.tree.unflatten(structure, leaves)
        names = dict(zip(("input_kernel", "recurrent_kernel", "bias"), params, strict=True))
        known = None if mask is None else np.float64(mask)
        numbers = None if lengths is None else np.array(lengths)
        return numpy_cells.read("lstm", False, names, inputs, carry, numbers, known, reverse)

    assert_roughly(found, expected(leaves), ROUNDING[dtype])
    # Without a gradient another kernel runs, which keeps nothing.
    alone = lstm(*params, *arrays, step_mask, mask)
    assert_roughly(alone, found, 1e-6)
    rng = np.random.default_rng(1)
    weights = jax.tree.map(np.float64, weights)
    for number, gradient in enumerate(jax.tree.leaves(gradients)):
        for direction in rng.normal(size=(3, *gradient.shape)):
            slope = numpy_cells.slope(
                lambda leaves: weighted_sum(weights, expected(leaves)), leaves, number, direction
            )
            limit = 4 * ROUNDING[dtype] * np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert abs(np.vdot(gradient, direction) - slope) <= limit


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of `persistent` run in the interpreter."""
    read = partial(persistent_lstm, interpret=True)
    monkeypatch.setattr("seqvision.models.execution.persistent_lstm.persistent_lstm", read)


@pytest.mark.usefixtures("interpreted")
def test_layers_equal_scan_with_its_parameters(rng: np.random.Generator) -> None:
    inputs = jnp.asarray(rng.normal(size=(5, 6, 3)), jnp.float32)
    lengths = jnp.array([6, 0, 3, 1, 9])
    options = {"cell": "lstm", "hidden_size": 8, "bidirectional": True}
    scan = RecurrentStack(**options, execution="scan")
    params = scan.init(jax.random.key(0), inputs, lengths)

    def values_and_gradients(stack: Any) -> Any:
        def loss(params: Any, inputs: Any) -> Any:
            outputs, carry = stack.apply(params, inputs, lengths)
            return (outputs**2).sum() + stack.final_hidden(carry).sum(), outputs

        return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, inputs)

    persistent = RecurrentStack(**options, execution="persistent")
    jax.tree.map(
        np.testing.assert_array_equal, persistent.init(jax.random.key(0), inputs, lengths), params
    )
    assert_roughly(values_and_gradients(persistent), values_and_gradients(scan), 3e-3)


@pytest.mark.usefixtures("interpreted")
def test_seeds_side_by_side_equal_one_by_one(rng: np.random.Generator) -> None:
    layer = Recurrent("lstm", 8, execution="persistent")
    inputs = jnp.asarray(rng.normal(size=(3, 4, 5, 3)), jnp.float32)
    params = jax.vmap(lambda key: layer.init(key, inputs[0]))(
        jax.random.split(jax.random.key(0), 3)
    )
    gradient = jax.grad(lambda params, inputs: layer.apply(params, inputs)[0].sum())
    together = jax.jit(jax.vmap(gradient))(params, inputs)
    one_by_one = [
        jax.jit(gradient)(jax.tree.map(lambda leaf, at=at: leaf[at], params), inputs[at])
        for at in range(3)
    ]
    assert_roughly(together, jax.tree.map(lambda *leaves: np.stack(leaves), *one_by_one), 1e-5)


def test_small_gradients_keep_their_precision() -> None:
    """Those of a mean over many examples lie where float16 has few bits left, or none."""
    params, arrays, weights, *_ = example((4, 6, 3, 16, None, False, False, "float32"))

    def gradients(share: float) -> Any:
        def loss(params: Any) -> Any:
            return share * weighted_sum(weights, persistent_lstm(*params, *arrays, interpret=True))

        return jax.grad(loss)(params)

    small = jax.tree.map(lambda leaf: leaf * 2.0**30, gradients(2.0**-30))
    assert_roughly(small, gradients(1.0), 1e-6)
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradients(0.0)))


def test_without_a_gpu_it_says_so() -> None:
    params, arrays, *_ = example(CASES[0])
    with pytest.raises(RuntimeError, match="needs an NVIDIA GPU, and JAX sees none"):
        persistent_lstm(*params, *arrays)


def test_what_it_is_not_for() -> None:
    assert choose_execution("persistent", "lstm", 128, "bfloat16") == "persistent"
    with pytest.raises(ValueError, match=r"at most 128 units on the chip, not of 129"):
        choose_execution("persistent", "lstm", 129, "float32")
    with pytest.raises(ValueError, match="is for lstm without refine gates"):
        choose_execution("persistent", "gru", 128, "float32")
    with jax.default_matmul_precision("highest"):
        assert choose_execution("persistent", "lstm", 8, "bfloat16") == "persistent"
        with pytest.raises(ValueError, match="and jax_default_matmul_precision is 'highest'"):
            choose_execution("persistent", "lstm", 8, "float32")
