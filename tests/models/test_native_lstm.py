"""The compiled LSTM: sizes beyond one panel and one thread, what is refused, and NaN.

Values and gradients in small sizes are held to float64 in `test_execution`.
"""

import ctypes
import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.errors import UserError
from seqvision.models.execution import choose, native_lstm
from seqvision.models.execution.fused_lstm import fused_lstm
from seqvision.models.recurrent import Recurrent
from seqvision.runtime.cpu_devices import has_vectors
from seqvision.runtime.native_library import NoLibraryError, compiler
from seqvision.train import train_and_evaluate
from tests.models import numpy_cells
from tests.models.random_layers import (
    as_float64,
    assert_roughly,
    random_array,
    random_carry,
    random_weights,
    spread_lengths,
    total,
)

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C++ compiler")

# B x T x D x H: of one row of a tile, of a panel and less, of several threads and steps a group.
SIZES = ["1x3x2x16", "6x5x1x17", "13x9x5x70", "7x70x3x33", "300x3x90x20"]


def read(execution: str, inputs: Any, lengths: Any, start: Any, weights: Any, options: Any) -> Any:
    """Outputs, the last carry, and gradients of all that has one."""
    layer = Recurrent("lstm", start[0].shape[1], execution=execution, **options)
    params = Recurrent("lstm", start[0].shape[1]).init(jax.random.key(3), inputs)

    @jax.jit
    def loss(params: Any, inputs: Any, start: Any) -> Any:
        outputs, end = layer.apply(
            params, inputs, lengths, start, train=True, rngs={"dropout": jax.random.key(1)}
        )
        return total(outputs, end, weights, "both"), (outputs, end)

    return jax.grad(loss, (0, 1, 2), has_aux=True)(params, inputs, start)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("threads", [1, 3])
def test_sizes_and_threads(
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
    sizes: str,
    reverse: bool,
    threads: int,
) -> None:
    monkeypatch.setattr(native_lstm, "usable_cores", lambda: threads * jax.local_device_count())
    monkeypatch.setattr(native_lstm, "_FEWEST_SEQUENCES", 1)
    batch, num_steps, input_size, hidden = map(int, sizes.split("x"))
    inputs = random_array(rng, batch, num_steps, input_size)
    start = random_carry(rng, "lstm", batch, hidden)
    weights = random_weights(rng, jnp.zeros((batch, num_steps, hidden)), start)
    lengths = jnp.asarray(spread_lengths(batch, num_steps)) if threads == 1 else None
    given = inputs, lengths, start, weights, {"reverse": reverse, "recurrent_dropout": 0.3}
    scan, native = read("scan", *given), read("native", *given)
    assert_roughly(native, scan, 1e-5)


@pytest.mark.parametrize("seeds", [0, 2])
@pytest.mark.parametrize("derive", [False, True])
def test_outputs_that_nobody_wants_are_not_written(
    rng: np.random.Generator, derive: bool, seeds: int
) -> None:
    """Not with gradients either, nor with several networks at once; the rest stays the same."""
    inputs, start = random_array(rng, 7, 5, 3), random_carry(rng, "lstm", 7, 9)
    layer = Recurrent("lstm", 9, execution="native")
    keys = jax.random.split(jax.random.key(3), max(seeds, 1))
    params = jax.vmap(lambda key: layer.init(key, inputs))(keys)
    if not seeds:
        params = jax.tree.map(lambda leaf: leaf[0], params)

    def read(with_outputs: bool, params: Any) -> Any:
        outputs, end = layer.apply(
            params, inputs, jnp.arange(7) % 6, start, with_outputs=with_outputs
        )
        return sum(jnp.sum(memory**2) for memory in end), (end, outputs)

    def compiled(with_outputs: bool) -> Any:
        function: Any = functools.partial(read, with_outputs)
        function = jax.grad(function, has_aux=True) if derive else function
        return jax.jit(jax.vmap(function) if seeds else function).lower(params).compile()

    whole, less = compiled(with_outputs=True), compiled(with_outputs=False)
    values, (end, outputs) = whole(params)
    assert_roughly(less(params), (values, (end, None)), 0)
    assert outputs.any()
    for program, written in ((whole, True), (less, False)):
        calls = [line for line in program.as_text().splitlines() if "lstm_forward" in line]
        assert ["f32[7,5,9]" in call for call in calls] == [written]


@pytest.mark.skipif(not has_vectors("avx512_bf16"), reason="this processor has no bfloat16")
@pytest.mark.parametrize("sizes", SIZES)
def test_products_of_bfloat16(rng: np.random.Generator, sizes: str) -> None:
    """As near to `fused` as two ways to round are, and far nearer than float32 is."""
    batch, num_steps, input_size, hidden = map(int, sizes.split("x"))
    inputs = random_array(rng, batch, num_steps, input_size)
    start = random_carry(rng, "lstm", batch, hidden)
    weights = random_weights(rng, jnp.zeros((batch, num_steps, hidden)), start)
    lengths = jnp.asarray(spread_lengths(batch, num_steps))
    rounded = {"dtype": jnp.dtype("bfloat16"), "recurrent_dropout": 0.3}
    native = read("native", inputs, lengths, start, weights, rounded)
    assert_roughly(native, read("fused", inputs, lengths, start, weights, rounded), 3e-3)


def test_a_nan_is_seen(rng: np.random.Generator) -> None:
    layer = Recurrent("lstm", 4, execution="native")
    inputs = random_array(rng, 3, 5, 2)
    params = layer.init(jax.random.key(0), inputs)
    outputs, (c, _) = layer.apply(params, inputs.at[1, 2, 0].set(jnp.nan))
    assert np.isnan(outputs[1, 2:]).all() and np.isnan(c[1]).all()
    assert np.isfinite(outputs[jnp.array([0, 2])]).all() and np.isfinite(outputs[1, :2]).all()


def test_gates_that_are_full(rng: np.random.Generator) -> None:
    """Inputs so large that every gate is open or shut."""
    layer = Recurrent("lstm", 4, execution="native")
    inputs = 1e4 * random_array(rng, 3, 5, 2)
    params = layer.init(jax.random.key(0), inputs)
    scan = Recurrent("lstm", 4, execution="scan").apply(params, inputs)
    assert_roughly(layer.apply(params, inputs), scan, 1e-5)


def test_an_infinite_input_does_not_reach_other_units(rng: np.random.Generator) -> None:
    inputs = random_array(rng, 3, 5, 2).at[1, 2, 0].set(jnp.inf)
    layers = [Recurrent("lstm", 5, execution=path) for path in ("scan", "native")]
    params = layers[0].init(jax.random.key(0), inputs)
    scan, native = (layer.apply(params, inputs) for layer in layers)
    assert np.isfinite(scan[0]).all()
    assert_roughly(native, scan, 1e-5)


def test_no_sequences(rng: np.random.Generator) -> None:
    layer, inputs = Recurrent("lstm", 5, execution="native"), jnp.ones((0, 6, 3))
    params = layer.init(jax.random.key(0), inputs)
    grads = jax.grad(lambda params: layer.apply(params, inputs)[0].sum())(params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("num_steps", [5, 0])
def test_no_steps(rng: np.random.Generator, num_steps: int) -> None:
    """What a call before has left in memory reaches no gradient."""
    sizes = (2, 40), (10, 40), (40,), (3, num_steps, 2)
    arguments = [random_array(rng, *size) for size in sizes]
    start = random_carry(rng, "lstm", 3, 10)

    def loss(execution: Any, *arguments: Any) -> Any:
        outputs, (c, h) = execution(*arguments, start)
        return outputs.sum() + c.sum() + h.sum()

    for _ in range(3):
        found, expected = (
            jax.grad(functools.partial(loss, execution), (0, 1, 2, 3))(*arguments)
            for execution in (native_lstm.native_lstm, fused_lstm)
        )
        assert_roughly(found, expected, 1e-5)


def test_many_rows_are_summed_up_exactly(rng: np.random.Generator) -> None:
    """The gradient of the input kernel is a sum over B T rows, here of about the same sign."""
    inputs = jnp.asarray(rng.uniform(0, 1, (256, 784, 1)), jnp.float32)
    layer = Recurrent("lstm", 4, execution="native")
    params = layer.init(jax.random.key(0), inputs)["params"]
    start = jnp.zeros((256, 4))

    def loss(params: Any) -> Any:
        return layer.apply({"params": params}, inputs, None, (start, start))[0].sum()

    grads = jax.jit(jax.grad(loss))(params)["cell"]["input_kernel"]
    direction = rng.normal(size=grads.shape)

    def exact(leaves: Any) -> Any:
        cell = as_float64(params["cell"])
        cell |= {"input_kernel": leaves[0], "bias": cell["bias"].astype(leaves[0].dtype)}
        zeros = (np.zeros((256, 4)), np.zeros((256, 4)))
        return numpy_cells.read("lstm", False, cell, np.float64(inputs), zeros)[0].sum()

    slope = numpy_cells.slope(exact, [as_float64(params["cell"]["input_kernel"])], 0, direction)
    assert np.vdot(direction, grads) == pytest.approx(slope, rel=5e-7)


def test_parameters_of_bfloat16(rng: np.random.Generator) -> None:
    inputs = random_array(rng, 3, 5, 2)
    layers = [Recurrent("lstm", 5, execution=path) for path in ("fused", "native")]
    params = layers[0].init(jax.random.key(0), inputs)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    with jax.numpy_dtype_promotion("standard"):
        fused, native = (layer.apply(rounded, inputs) for layer in layers)
    assert_roughly(native, fused, 1e-5)


def test_arrays_that_do_not_fit() -> None:
    kernels = jnp.zeros((2, 16)), jnp.zeros((4, 16)), jnp.zeros(16)
    inputs, carry = jnp.zeros((3, 5, 2)), (jnp.zeros((3, 4)), jnp.zeros((3, 4)))
    for name, arguments in {
        "input_kernel": ((jnp.zeros((3, 16)), *kernels[1:]), inputs, carry),
        "bias": ((*kernels[:2], jnp.zeros(15)), inputs, carry),
        "h": (kernels, inputs, (carry[0], jnp.zeros((3, 5)))),
        "step_mask": (kernels, inputs, carry, jnp.zeros((3, 4), bool)),
    }.items():
        parameters, *others = arguments
        # Without the annotations, which only tests check.
        with pytest.raises(ValueError, match=f"{name} has shape"):
            inspect.unwrap(native_lstm.native_lstm)(*parameters, *others)


def test_arrays_of_other_types() -> None:
    kernels, inputs = (jnp.ones((2, 16)), jnp.ones((4, 16)), jnp.ones(16)), jnp.ones((3, 5, 2))
    carry, mask = (jnp.zeros((3, 4)), jnp.zeros((3, 4))), jnp.arange(15).reshape(3, 5) % 4 > 0
    read = inspect.unwrap(native_lstm.native_lstm)
    expected = read(*kernels, inputs, carry, mask, jnp.ones((3, 4)))
    halves = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (inputs, carry))
    found = read(*kernels, *halves, mask.astype(jnp.float32), jnp.ones((3, 4), bool))
    assert_roughly(found, expected, 0)
    with pytest.raises(ValueError, match="dtype is float16; native multiplies float32 or bfloat16"):
        read(*kernels, inputs, carry, dtype=jnp.dtype("float16"))


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What was found out about this machine is found out anew."""
    caches = native_lstm.why_not, native_lstm._compiled, choose._say_once
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_where_it_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
    tiny_config: ConfigDict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    forgotten: None,
) -> None:
    def fails(source: Any) -> Any:
        raise NoLibraryError("no C++ compiler is on the PATH (c++)")

    monkeypatch.setattr(native_lstm, "load_library", fails)
    monkeypatch.setattr(choose, "has_vectors", lambda name: True)
    for command, said in (([], 0), (["c++"], 1)):
        monkeypatch.setattr(choose, "compiler", lambda command=command: command)
        for _ in range(2):
            assert choose.choose_execution("auto", "lstm", 128, "float32") == "fused"
        assert capsys.readouterr().err.count("the LSTM is not compiled here") == said
    with pytest.raises(ValueError, match=r"'native' cannot be made here: no C\+\+ compiler"):
        choose.choose_execution("native", "lstm", 128, "float32")
    tiny_config.model.execution = "native"
    with pytest.raises(UserError, match=r"execution: native cannot be made here: no C\+\+ "):
        train_and_evaluate(tiny_config, tmp_path / "run")


def test_a_library_without_the_functions(monkeypatch: pytest.MonkeyPatch, forgotten: None) -> None:
    monkeypatch.setattr(native_lstm, "load_library", lambda source: ctypes.CDLL(None))
    monkeypatch.setattr(choose, "has_vectors", lambda name: True)
    assert choose.choose_execution("auto", "lstm", 128, "float32") == "fused"
    with pytest.raises(ValueError, match=r"seqvision_lstm_forward; CXX names another compiler"):
        choose.choose_execution("native", "lstm", 128, "float32")


def test_a_gpu_does_not_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose.choose_execution("native", "lstm", 128, "float32") == "native"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(ValueError, match="'native' runs on CPUs, and JAX computes on the gpu"):
        choose.choose_execution("native", "lstm", 128, "float32")
