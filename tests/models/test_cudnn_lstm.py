"""The LSTM through cuDNN: everything but the call itself on CPU, the call itself where a GPU is."""

import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from seqvision.models.execution import cudnn_lstm as module
from seqvision.models.execution.cudnn_lstm import available, cudnn_lstm, pack
from seqvision.models.recurrent import Recurrent
from tests.models import numpy_cells

NAMES = ("input_kernel", "recurrent_kernel", "bias")
CASES = [
    # B, T, D, H, lengths, reverse, from zeros
    (3, 5, 3, 4, None, True, True),
    (3, 5, 3, 4, (5, 2, 0), True, False),
    (3, 7, 5, 3, (9, 1, 0), False, False),
    (2, 1, 1, 1, None, False, False),
]


@jax.custom_vjp
def with_nan_gradient(array: Any, where: Any) -> Any:
    return array


with_nan_gradient.defvjp(
    lambda array, where: (array, where),
    lambda where, gradient: (jnp.where(where, jnp.nan, gradient), None),
)


def in_place_of_cudnn(*args: Any, **kwargs: Any) -> Any:
    """JAX's reference, but as bad about lengths and padding as cuDNN may be.

    A length of 0 or beyond T spoils everything; outputs and gradients are NaN in the padding.
    """
    given = inspect.signature(rnn.lstm).bind(*args, **kwargs).arguments
    x, lengths, weights = given["x"], given["seq_lengths"], given["weights"]
    sizes = {name: given[name] for name in ("input_size", "hidden_size", "num_layers")}
    sizes |= {"bidirectional": given["bidirectional"]}
    assert weights.shape == (rnn.get_num_params_in_lstm(**sizes),)
    assert {given[name].dtype for name in ("x", "h_0", "c_0", "weights")} == {np.dtype("float32")}
    num_steps = x.shape[1]
    padding = (jnp.arange(num_steps)[None] >= lengths[:, None])[..., None]
    is_wrong = jnp.any((lengths < 1) | (lengths > num_steps))
    y, *memory = rnn.lstm_ref(
        with_nan_gradient(x, padding),
        given["h_0"],
        given["c_0"],
        *rnn.unpack_lstm_weights(weights, **sizes),
        lengths,
        *(given[name] for name in ("input_size", "hidden_size", "num_layers", "dropout")),
        given["bidirectional"],
    )
    y = jnp.where(padding, jnp.nan, y)
    return tuple(jnp.where(is_wrong, jnp.nan, array) for array in (y, *memory))


def on_cpu(*args: Any, reverse: bool) -> Any:
    """`cudnn_lstm` with the stand-in, at the default precision."""
    return module._read(in_place_of_cudnn, *args, reverse, None)


def example(case: Any) -> Any:
    """Parameters, inputs (NaN in the padding), carry and lengths; weights for a sum of outputs."""
    batch, num_steps, inputs, hidden, lengths, _, from_zeros = case
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return np.float32(0.7 * rng.normal(size=shape))

    # The larger the sums, the smaller their terms: else large networks are chaotic.
    kernels = (
        draw(inputs, 4 * hidden) * np.float32(2 / np.sqrt(inputs)),
        draw(hidden, 4 * hidden) * np.float32(2 / np.sqrt(hidden)),
        draw(4 * hidden),
    )
    params = dict(zip(NAMES, kernels, strict=True))
    x, carry = draw(batch, num_steps, inputs), (draw(batch, hidden), draw(batch, hidden))
    if from_zeros:
        carry = (np.zeros_like(carry[0]), np.zeros_like(carry[1]))
    if lengths is not None:
        lengths = np.array(lengths, np.int32)
        x[np.arange(num_steps)[None] >= lengths[:, None]] = np.nan
    weights = (draw(batch, num_steps, hidden), (draw(batch, hidden), draw(batch, hidden)))
    return params, x, carry, lengths, weights


def weighted_sum(weights: Any, result: Any) -> Any:
    products = jax.tree.map(lambda a, b: (a * b).sum(), weights, result)
    return sum(jax.tree.leaves(products))


def with_gradients(read: Any, weights: Any, *leaves: Any) -> Any:
    """Outputs and carry of read(params, x, carry), and gradients of their weighted sum."""

    def loss(*leaves: Any) -> Any:
        result = read(*leaves)
        return weighted_sum(weights, result), result

    gradients, result = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(*leaves)
    return jax.tree.map(np.asarray, (result, gradients))


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    """To that part of the largest entry of each array, or of 1 where that is larger."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))


def compare_with_scan(path: Any, case: Any, tolerance: float) -> Any:
    """The path's values and gradients, all of them found equal to those of the `scan` path."""
    params, x, carry, lengths, weights = example(case)
    reverse = case[5]
    layer = Recurrent("lstm", case[3], reverse=reverse)

    def scan(params: Any, x: Any, carry: Any) -> Any:
        return layer.apply({"params": {"cell": params}}, x, lengths, carry)

    def read(params: Any, x: Any, carry: Any) -> Any:
        return path(*(params[name] for name in NAMES), x, carry, lengths, reverse=reverse)

    leaves = jax.tree.map(jnp.asarray, (params, x, carry))
    lengths = None if lengths is None else jnp.asarray(lengths)
    found = with_gradients(read, weights, *leaves)
    expected = with_gradients(scan, weights, *leaves)
    assert_close(found, expected, tolerance)
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_scan_and_float64_equations(case: Any) -> None:
    (outputs, end), gradients = compare_with_scan(on_cpu, case, 5e-6)
    params, x, carry, lengths, weights = example(case)
    num_steps = case[1]
    if lengths is not None:
        padding = np.arange(num_steps)[None] >= lengths[:, None]
        np.testing.assert_array_equal(outputs[padding], 0)
        np.testing.assert_array_equal(gradients[1][padding], 0)
        for found, initial in zip(end, carry, strict=True):
            np.testing.assert_array_equal(found[lengths == 0], initial[lengths == 0])
        lengths = np.minimum(lengths, num_steps)
    leaves, structure = jax.tree.flatten((params, x, carry))

    def equations(leaves: Any) -> Any:
        params, x, carry = jax.tree.unflatten(structure, leaves)
        return numpy_cells.read("lstm", False, params, x, carry, lengths, reverse=case[5])

    leaves = [np.float64(leaf) for leaf in leaves]
    assert_close((outputs, end), equations(leaves), 5e-6)
    rng = np.random.default_rng(1)
    for number, gradient in enumerate(jax.tree.leaves(gradients)):
        indices = list(np.ndindex(gradient.shape))
        for choice in rng.permutation(len(indices))[:6]:
            slope = numpy_cells.derivative(
                lambda leaves: weighted_sum(weights, equations(leaves)),
                leaves,
                number,
                indices[choice],
            )
            assert gradient[indices[choice]] == pytest.approx(slope, rel=1e-4, abs=3e-5)


def test_packed_weights_are_where_cudnn_looks(rng: np.random.Generator) -> None:
    kernel, recurrent, bias = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 20), (5, 20), (20,))
    )
    found = rnn.unpack_lstm_weights(pack(kernel, recurrent, bias), 3, 5, 1, False)
    expected = (kernel.T, recurrent.T, bias, np.zeros(20))
    for layers, array in zip(found, expected, strict=True):
        np.testing.assert_array_equal(layers[0], array)


@pytest.mark.parametrize(
    ("precision", "default", "allows_tf32"),
    [(None, None, True), ("highest", None, False), ("high", None, True), (None, "highest", False)],
)
def test_the_call_itself_is_traced(
    monkeypatch: pytest.MonkeyPatch, precision: Any, default: Any, allows_tf32: bool
) -> None:
    # All that tracing asks of cuDNN is how much memory it needs.
    monkeypatch.setattr(module, "available", lambda: True)
    name = "compute_rnn_workspace_reserve_space_sizes"
    monkeypatch.setattr(rnn.gpu_rnn, name, lambda *sizes: (8, 16), raising=False)
    params, x, carry, lengths, weights = example(CASES[1])

    def read(params: Any, x: Any, carry: Any) -> Any:
        args = (*(params[name] for name in NAMES), x.astype(jnp.bfloat16), carry, lengths)
        return cudnn_lstm(*args, reverse=True, precision=precision)

    def gradients(*leaves: Any) -> Any:
        return jax.grad(lambda *a: weighted_sum(weights, read(*a)), argnums=(0, 1, 2))(*leaves)

    leaves = jax.tree.map(jnp.asarray, (params, x, carry))
    lengths = jnp.asarray(lengths)
    with jax.default_matmul_precision(default):
        jaxpr, shapes = jax.make_jaxpr(gradients, return_shape=True)(*leaves)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), shapes) == jax.tree.map(
        lambda a: (a.shape, a.dtype), leaves
    )
    calls = [eqn for eqn in jaxpr.eqns if eqn.primitive.name in ("rnn_fwd", "rnn_bwd")]
    assert [eqn.primitive.name for eqn in calls] == ["rnn_fwd", "rnn_bwd"]
    for call in calls:
        assert call.params == {
            "input_size": 3,
            "hidden_size": 4,
            "num_layers": 1,
            "dropout": 0.0,
            "bidirectional": False,
            "cudnn_allow_tf32": allows_tf32,
        }


def test_without_a_gpu_it_says_so() -> None:
    params, x, carry, *_ = example(CASES[0])
    leaves = jax.tree.map(jnp.asarray, (*params.values(), x, carry))
    assert not available()
    with pytest.raises(RuntimeError, match="needs an NVIDIA GPU, and JAX sees none"):
        cudnn_lstm(*leaves)


@pytest.mark.parametrize("number", range(6))
def test_wrong_shapes(number: int) -> None:
    params, x, carry, lengths, _ = example(CASES[1])
    names = (*NAMES, "c", "h", "lengths")
    arrays = [*params.values(), *carry, lengths]
    arrays[number] = np.concatenate([arrays[number]] * 2, axis=-1)
    kernel, recurrent, bias, c, h, lengths = map(jnp.asarray, arrays)
    read = inspect.unwrap(module._read)  # Without the tests' own check of shapes.
    args = (kernel, recurrent, bias, jnp.asarray(x), (c, h), lengths, False, None)
    with pytest.raises(ValueError, match=rf"^{names[number]} has shape \(.*\), not \("):
        read(in_place_of_cudnn, *args)


def compare_on_gpu() -> None:
    """In a process of its own, since the tests see no device but the CPU."""
    if not available():
        print("JAX sees no NVIDIA GPU")
        return
    # Else both would multiply in TF32, each with roundings of its own.
    with jax.default_matmul_precision("highest"):
        for case in [*CASES, (64, 28, 28, 128, None, False, True)]:
            compare_with_scan(cudnn_lstm, case, 1e-4)
            print("equal:", case)


def test_cudnn_itself_equals_scan_on_an_nvidia_gpu() -> None:
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin")
    if not any(importlib.util.find_spec(plugin) for plugin in plugins):
        pytest.skip("needs JAX for NVIDIA GPUs, the extra cuda12 or cuda13")
    unset = ("JAX_PLATFORMS", "XLA_FLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    result = subprocess.run(
        [sys.executable, "-c", "from tests.models import test_cudnn_lstm as t; t.compare_on_gpu()"],
        env=environment | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    if "no NVIDIA GPU" in result.stdout:
        pytest.skip("needs an NVIDIA GPU")
    assert result.stdout.count("equal:") == len(CASES) + 1
