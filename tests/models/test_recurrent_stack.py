"""Stacks of recurrent layers, dropout in and between them, and what they refuse."""

import functools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from seqvision.models.cells.base import Cell, CellOptions
from seqvision.models.recurrent import Recurrent, RecurrentStack
from tests.models import numpy_cells
from tests.models.numpy_cells import PAIRS
from tests.models.random_layers import (
    LENGTHS,
    B,
    D,
    H,
    T,
    as_float64,
    assert_close,
    assert_same,
    random_carry,
    random_inputs,
    random_params,
)


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("lstm", ("_forward", "_backward")),
        ("min_gru", ("_forward", "_backward")),
        ("layer_norm_lstm", ("",)),
        ("gru", ("",)),
    ],
)
def test_stack_equals_layers_by_hand(
    rng: np.random.Generator, name: str, sides: tuple[str, ...]
) -> None:
    both = len(sides) == 2
    stack = RecurrentStack(name, H, num_layers=2, bidirectional=both)
    params, inputs = random_params(rng, stack), random_inputs(rng)
    assert set(params) == {f"layer_{number}{side}" for number in (0, 1) for side in sides}
    starts = [[random_carry(rng, name) for _ in sides] for _ in range(2)]
    start = tuple(tuple(layer) if both else layer[0] for layer in starts)
    outputs, carry = jax.jit(stack.apply)({"params": params}, inputs, LENGTHS, start)

    expected, expected_carry = as_float64(inputs), []
    for number, layer in enumerate(starts):
        read = [
            numpy_cells.read(
                name,
                False,
                as_float64(params[f"layer_{number}{side}"]["cell"]),
                expected,
                as_float64(before),
                LENGTHS,
                reverse=side == "_backward",
            )
            for side, before in zip(sides, layer, strict=True)
        ]
        expected = np.concatenate([output for output, _ in read], axis=-1)
        ends = tuple(end for _, end in read)
        expected_carry.append(ends if both else ends[0])
    assert_close((outputs, carry), (expected, tuple(expected_carry)))

    # Forward at the last step, backward at the first; what it started from where length is 0.
    final, outputs = np.asarray(stack.final_hidden(carry)), np.asarray(outputs)
    before = [memory[1] if name in PAIRS else memory for memory in starts[1]]
    for b, length in enumerate(LENGTHS):
        hidden = [outputs[b, length - 1, :H], outputs[b, 0, H:]][: len(sides)]
        hidden = hidden if length else [np.asarray(memory)[b] for memory in before]
        # The parallel scan of minimal cells rounds the memory behind the padding once more.
        np.testing.assert_allclose(final[b], np.concatenate(hidden), rtol=1e-6)


def test_options_reach_the_cells() -> None:
    options = CellOptions("chrono", refine_gates=True, recurrent_init="identity")
    dtype = jnp.dtype("bfloat16")
    stack = RecurrentStack("gru", H, options, dtype=dtype, num_layers=2, bidirectional=True)
    cells: dict[Any, Cell] = {}

    def note(method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, Cell) and context.module.path:
            cells[context.module.path] = context.module
        return method(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(stack.init, jax.random.key(0), jnp.zeros((1, 50, D)))
    assert len(cells) == 4
    for cell in cells.values():
        assert (cell.options, cell.dtype, cell.num_steps) == (options, dtype, 50)


@pytest.mark.parametrize(
    ("name", "execution"),
    [("lstm", "scan"), ("lstm", "fused"), ("gru", "fused"), ("min_gru", "auto")],
)
@pytest.mark.parametrize("both", [False, True])
def test_the_carry_is_the_same_without_outputs(
    rng: np.random.Generator, name: str, execution: str, both: bool
) -> None:
    stack = RecurrentStack(name, H, execution=execution, num_layers=2, bidirectional=both)
    params, inputs = random_params(rng, stack), random_inputs(rng)
    lengths = jnp.asarray(LENGTHS)
    _, whole = stack.apply({"params": params}, inputs, lengths)
    outputs, carry = stack.apply({"params": params}, inputs, lengths, with_outputs=False)
    assert outputs is None
    assert_same(carry, whole)


@pytest.mark.parametrize("name", ["lstm", "min_gru"])
def test_recurrent_dropout_drops_the_same_units_at_all_steps(
    rng: np.random.Generator, name: str
) -> None:
    layer = Recurrent(name, H, recurrent_dropout=0.25)
    params, inputs = random_params(rng, layer), random_inputs(rng)
    read = jax.jit(
        lambda key: layer.apply({"params": params}, inputs, train=True, rngs={"dropout": key})
    )
    outputs, end = read(jax.random.key(3))
    # From a memory of 0, a unit whose candidate is dropped stays at 0 for ever.
    kept = np.asarray(outputs) != 0
    np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1], kept.shape))
    mask = kept[:, 0] / 0.75
    assert len(np.unique(mask, axis=0)) > 1  # Not one for the whole batch.
    zero = np.zeros((B, H))
    start = (zero, zero) if name in PAIRS else zero
    cell = as_float64(params["cell"])
    expected = numpy_cells.read(name, False, cell, np.float64(inputs), start, mask=mask)
    assert_close((outputs, end), expected)
    assert_same(read(jax.random.key(3)), (outputs, end))
    others = [np.asarray(read(jax.random.key(seed))[0]) != 0 for seed in range(10, 40)]
    assert any(np.any(other != kept) for other in others)
    # 360 units, kept with probability 3/4: beyond 5 standard deviations never.
    assert abs(np.mean([other[:, 0] for other in others]) - 0.75) < 5 * np.sqrt(0.1875 / 360)
    plain = Recurrent(name, H).apply({"params": params}, inputs)
    assert_close(layer.apply({"params": params}, inputs), plain, 1e-6)


def test_dropout_is_between_layers_and_only_in_training(rng: np.random.Generator) -> None:
    stack = RecurrentStack("min_gru", H, num_layers=2, dropout=0.5)
    params, inputs = random_params(rng, stack), random_inputs(rng)
    plain, plain_carry = stack.apply({"params": params}, inputs)
    apply = functools.partial(
        stack.apply, {"params": params}, inputs, train=True, capture_intermediates=True
    )
    (outputs, carry), captured = apply(rngs={"dropout": jax.random.key(0)})
    assert_same(carry[0], plain_carry[0])
    assert np.any(carry[1] != plain_carry[1])
    ((below, _),) = captured["intermediates"]["layer_0"]["__call__"]
    (dropped,) = captured["intermediates"]["Dropout_0"]["__call__"]
    assert set(captured["intermediates"]) == {"layer_0", "layer_1", "Dropout_0", "__call__"}
    kept = np.asarray(dropped) != 0
    np.testing.assert_allclose(dropped, np.where(kept, 2 * np.asarray(below), 0), atol=1e-6)
    assert np.any(kept[:, 0] != kept[:, 1])  # Anew at each step.
    again, other = (apply(rngs={"dropout": jax.random.key(seed)})[0][0] for seed in (0, 1))
    np.testing.assert_array_equal(again, outputs)
    assert np.any(other != outputs)
    assert np.all(outputs != 0)  # None after the last layer.
    # One layer: nothing to drop, so that no rng is asked for.
    single = RecurrentStack("min_gru", H, dropout=0.5)
    variables = {"params": {"layer_0": params["layer_0"]}}
    assert_same(single.apply(variables, inputs, train=True), single.apply(variables, inputs))
    assert plain.shape == (B, T, H)


@pytest.fixture
def _unchecked_shapes() -> Iterator[None]:
    """As in ordinary runs: the layers themselves have to notice wrong shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("_unchecked_shapes")
@pytest.mark.parametrize("layer", [Recurrent("lstm", H), RecurrentStack("min_gru", H)])
@pytest.mark.parametrize(
    ("shape", "lengths", "words"),
    [
        ((2, 5, 3), (5,), r"lengths has shape \(5,\), inputs \(2, 5, 3\): .* the B = 2 sequences"),
        ((2, 5, 3), (2, 5), r"lengths has shape \(2, 5\)"),
        ((5, 3), None, r"inputs has shape \(5, 3\), not \(B, T, D\)"),
        ((2, 5, 3, 1), None, r"inputs has shape \(2, 5, 3, 1\), not \(B, T, D\)"),
        ((2, 0, 3), None, r"inputs has shape \(2, 0, 3\): T = 0, there is no step to read"),
    ],
)
def test_wrong_shapes(layer: Any, shape: Any, lengths: Any, words: str) -> None:
    lengths = None if lengths is None else jnp.ones(lengths, jnp.int32)
    with pytest.raises(ValueError, match=words):
        layer.init(jax.random.key(0), jnp.zeros(shape), lengths)


def test_wrong_options() -> None:
    inputs = jnp.zeros((2, 5, 3))
    for layer, carry, words in (
        (Recurrent("lstn", H), None, "cell 'lstn' is not known; choose one of lstm, gru, gru_res"),
        (RecurrentStack("gru", H, num_layers=0), None, "num_layers: 0; there must be at least 1"),
        (RecurrentStack("gru", H), (), r"initial_carry has 0 entries, .* num_layers = 1"),
    ):
        with pytest.raises(ValueError, match=words):
            layer.init(jax.random.key(0), inputs, None, carry)
