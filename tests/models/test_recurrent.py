"""The recurrent layers: lengths, directions, parts of sequences, dropout, and float64 equations."""

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
from tests.models.numpy_cells import CASES, NAMES, PAIRS

B, T, D, H = 3, 5, 3, 4
LENGTHS = np.array([5, 2, 0], np.int32)
# Of the ways to run a layer, each cell's: `scan` runs any, `fused` two.
PATHS = [*((name, "scan") for name in NAMES), ("lstm", "fused"), ("gru", "fused")]
WEIGHTS = np.random.default_rng(1).normal(size=(B, T, H)).astype(np.float32)


def as_float64(tree: Any) -> Any:
    return jax.tree.map(lambda a: np.asarray(a, np.float64), tree)


def assert_close(found: Any, expected: Any, atol: float = 5e-6) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), found, expected)


def assert_same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def random_inputs(rng: np.random.Generator, shape: tuple[int, ...] = (B, T, D)) -> Any:
    return jnp.asarray(0.7 * rng.normal(size=shape), jnp.float32)


def random_carry(rng: np.random.Generator, name: str, batch: int = B) -> Any:
    first, second = (random_inputs(rng, (batch, H)) for _ in range(2))
    return (first, second) if name in PAIRS else second


def random_params(rng: np.random.Generator, layer: Any, input_size: int = D) -> Any:
    """Random everywhere, so that no term can be forgotten."""
    shapes = jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 1, input_size)))
    return jax.tree.map(lambda a: random_inputs(rng, a.shape), shapes["params"])


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
    params, inputs = random_params(rng, stack), np.asarray(random_inputs(rng, (B, 6, D)))
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
    params, inputs = random_params(rng, layer, 1), random_inputs(rng, (1, 1, 1))
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
