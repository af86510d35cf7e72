"""One recurrent layer: lengths, directions, parts of sequences, and float64 equations."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models.cells.base import CellOptions
from seqvision.models.recurrent import Recurrent, RecurrentStack
from tests.models import numpy_cells
from tests.models.numpy_cells import CASES, NAMES, PAIRS
from tests.models.random_layers import (
    LENGTHS,
    B,
    D,
    H,
    T,
    as_float64,
    assert_close,
    assert_same,
    random_array,
    random_carry,
    random_inputs,
    random_params,
)

# Of the ways to run a layer, each cell's: `scan` runs any, `fused` two.
PATHS = [*((name, "scan") for name in NAMES), ("lstm", "fused"), ("gru", "fused")]
WEIGHTS = np.random.default_rng(1).normal(size=(B, T, H)).astype(np.float32)


@functools.cache
def compiled(name: str, execution: str, refine: bool = False) -> Any:
    """(params, inputs, carry, lengths) -> outputs, final carry, gradients of a weighted sum."""
    layer = Recurrent(name, H, CellOptions(refine_gates=refine), execution=execution)

    @jax.jit
    def read(params: Any, inputs: Any, carry: Any, lengths: Any) -> Any:
        def loss(params: Any, inputs: Any, carry: Any) -> Any:
            outputs, end = layer.apply({"params": params}, inputs, lengths, carry)
            value = (outputs * jnp.asarray(WEIGHTS)).sum() + jax.tree.leaves(end)[0].sum()
            return value, (outputs, end)

        grads, (outputs, end) = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(
            params, inputs, carry
        )
        return outputs, end, grads

    return layer, lambda *arguments: jax.tree.map(np.asarray, read(*arguments))


@pytest.mark.parametrize(
    ("name", "execution", "refine"),
    [*((name, "scan", refine) for name, refine in CASES), *((*path, False) for path in PATHS[-2:])],
)
def test_equals_float64_equations_and_their_derivatives(
    rng: np.random.Generator, name: str, execution: str, refine: bool
) -> None:
    layer, read = compiled(name, execution, refine)
    params, inputs = random_params(rng, layer), random_inputs(rng)
    carry = random_carry(rng, name)
    outputs, end, grads = read(params, inputs, carry, LENGTHS)
    leaves, structure = jax.tree.flatten((params, inputs, carry))

    def expected(leaves: Any) -> Any:
        params, inputs, carry = jax.tree.unflatten(structure, leaves)
        return numpy_cells.read(name, refine, params["cell"], inputs, carry, LENGTHS)

    def expected_loss(leaves: Any) -> Any:
        outputs, end = expected(leaves)
        return (outputs * WEIGHTS).sum() + jax.tree.leaves(end)[0].sum()

    leaves = as_float64(leaves)
    assert_close((outputs, end), expected(leaves))
    for number, grad in enumerate(jax.tree.leaves(grads)):
        indices = list(np.ndindex(grad.shape))
        for choice in rng.permutation(len(indices))[:8]:
            slope = numpy_cells.derivative(expected_loss, leaves, number, indices[choice])
            assert grad[indices[choice]] == pytest.approx(slope, rel=1e-4, abs=3e-5)


@pytest.mark.parametrize(("name", "execution"), PATHS)
def test_padding_changes_nothing(rng: np.random.Generator, name: str, execution: str) -> None:
    layer, read = compiled(name, execution)
    params, inputs, carry = random_params(rng, layer), random_inputs(rng), random_carry(rng, name)
    padding = np.arange(T)[None] >= LENGTHS[:, None]
    expected = read(params, inputs, carry, LENGTHS)
    for garbage in (0.0, 1e30, np.inf, np.nan):
        padded = np.where(padding[..., None], np.float32(garbage), inputs)
        assert_same(read(params, padded, carry, LENGTHS), expected)
    outputs, end, (_, input_grads, _) = expected
    np.testing.assert_array_equal(outputs[padding], 0)
    np.testing.assert_array_equal(input_grads[padding], 0)
    assert np.all(np.any(input_grads[~padding] != 0, axis=-1))
    # Length 0: the initial carry.
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[2], np.asarray(b)[2]), end, carry)
    # A length beyond the end is the end.
    whole = read(params, inputs, carry, np.full(B, T, np.int32))
    assert_same(read(params, inputs, carry, np.full(B, T + 3, np.int32)), whole)


@pytest.mark.parametrize(("name", "execution"), PATHS)
def test_what_reaches_what(rng: np.random.Generator, name: str, execution: str) -> None:
    # NaN goes wherever information goes, even through a product with 0.
    layer, read = compiled(name, execution)
    params, inputs, carry = random_params(rng, layer), random_inputs(rng), random_carry(rng, name)
    lengths = np.array([5, 5, 4], np.int32)
    inputs = np.array(inputs)
    inputs[1, 3] = np.nan
    outputs, end, _ = read(params, inputs, carry, lengths)
    reached = np.zeros((B, T), bool)
    reached[1, 3:] = True
    np.testing.assert_array_equal(np.isnan(outputs).all(axis=-1), reached)
    np.testing.assert_array_equal(np.isnan(outputs).any(axis=-1), reached)
    for leaf in jax.tree.leaves(end):
        np.testing.assert_array_equal(np.isnan(leaf).any(axis=-1), [False, True, False])


@pytest.mark.parametrize(("name", "execution"), PATHS)
def test_step_by_step_equals_the_whole(rng: np.random.Generator, name: str, execution: str) -> None:
    layer, read = compiled(name, execution)
    params, inputs = random_params(rng, layer), random_inputs(rng)
    start = jax.tree.map(jnp.zeros_like, random_carry(rng, name))
    whole, end, _ = read(params, inputs, start, np.full(B, T, np.int32))
    step = jax.jit(lambda x, carry: layer.apply({"params": params}, x, None, carry))
    carry, parts = start, []
    for t in range(T):
        outputs, carry = step(np.asarray(inputs)[:, t : t + 1], carry)
        parts.append(outputs)
    assert_close((np.concatenate(parts, axis=1), carry), (whole, end), 2e-6)


def test_two_halves_equal_the_whole(rng: np.random.Generator) -> None:
    stack = RecurrentStack("lstm", H, num_layers=2)
    params, inputs = random_params(rng, stack), np.asarray(random_array(rng, B, 6, D))
    zeros = jnp.zeros((B, H))
    start = ((zeros, zeros), (zeros, zeros))
    read = jax.jit(lambda x, carry: stack.apply({"params": params}, x, None, carry))
    whole, end = read(inputs, start)
    first, middle = read(inputs[:, :3], start)
    second, last = read(inputs[:, 3:], middle)
    assert_close((np.concatenate([first, second], axis=1), last), (whole, end), 2e-6)


@pytest.mark.parametrize("name", ["layer_norm_lstm", "gru", "min_lstm"])
def test_smallest_sizes(rng: np.random.Generator, name: str) -> None:
    layer = Recurrent(name, 1)
    params, inputs = random_params(rng, layer, 1), random_array(rng, 1, 1, 1)
    found = jax.jit(layer.apply)({"params": params}, inputs)  # From zeros by default.
    zero = np.zeros((1, 1))
    carry = (zero, zero) if name in PAIRS else zero
    cell = as_float64(params["cell"])
    assert_close(found, numpy_cells.read(name, False, cell, as_float64(inputs), carry))


@pytest.mark.parametrize("name", ["lstm", "min_lstm"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_reverse_equals_each_flipped_sequence_alone(
    rng: np.random.Generator, name: str, lengths: Any
) -> None:
    layer = Recurrent(name, H, reverse=True)
    params, inputs, carry = random_params(rng, layer), random_inputs(rng), random_carry(rng, name)
    if lengths is not None:
        inputs = np.array(inputs)
        inputs[np.arange(T)[None] >= lengths[:, None]] = np.nan
    outputs, end = jax.jit(layer.apply)({"params": params}, inputs, lengths, carry)
    inputs, outputs, end = jax.tree.map(np.asarray, (inputs, outputs, end))
    cell = as_float64(params["cell"])
    for b in range(B):
        length = T if lengths is None else lengths[b]
        flipped = np.float64(inputs[b : b + 1, :length])[:, ::-1]
        own = jax.tree.map(lambda a, b=b: np.float64(np.asarray(a)[b : b + 1]), carry)
        expected, expected_end = numpy_cells.read(name, False, cell, flipped, own)
        np.testing.assert_allclose(outputs[b, :length], expected[0, ::-1], atol=5e-6)
        np.testing.assert_array_equal(outputs[b, length:], 0)
        assert_close(jax.tree.map(lambda a, b=b: a[b : b + 1], end), expected_end)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_products_keep_a_float32_carry(rng: np.random.Generator, name: str) -> None:
    layer, read = compiled(name, "auto")
    params, inputs = random_params(rng, layer), random_inputs(rng)
    zeros = jax.tree.map(jnp.zeros_like, random_carry(rng, name))
    half = Recurrent(name, H, dtype=jnp.dtype("bfloat16"))

    def rough_read(params: Any) -> Any:
        rough = inputs.astype(jnp.bfloat16)
        outputs, end = half.apply({"params": params}, rough, jnp.asarray(LENGTHS))
        return outputs.sum(), (outputs, end)

    found = jax.jit(rough_read)(params)[1]
    expected = read(params, inputs, zeros, LENGTHS)[:2]
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float32")}
    assert_close(found, expected, 0.1)
    assert not np.array_equal(found[0], expected[0])
    grads, _ = jax.eval_shape(jax.grad(rough_read, has_aux=True), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {np.dtype("float32")}


@pytest.mark.parametrize("name", NAMES)
def test_blank_rows_pass_on_gradients_of_usual_size(name: str) -> None:
    """Digits begin with blank rows, over which the memory stays empty."""
    inputs = jnp.zeros((2, 28, 28)).at[:, 14:].set(0.5 * jax.random.normal(jax.random.key(0)))
    layer = Recurrent(name, 32, execution="scan")
    params = jax.jit(layer.init)(jax.random.key(1), inputs)

    @jax.jit
    @jax.grad
    def gradients(params: Any) -> jax.Array:
        outputs, _ = layer.apply(params, inputs)
        return outputs[:, -1].sum()

    for leaf in jax.tree.leaves(gradients(params)):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() < 1e4
