"""The recurrent layer against a Python loop, a float64 numpy LSTM and a hand-computed step."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models.recurrent import LSTM

GATES = "ifgo"


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def numpy_lstm(cell: dict[str, Any], inputs: np.ndarray, c: np.ndarray, h: np.ndarray) -> Any:
    """The equations of the docstring, in float64, one step after another."""
    outputs = []
    for t in range(inputs.shape[1]):
        z = {
            gate: inputs[:, t] @ np.float64(cell[f"i{gate}"]["kernel"])
            + h @ np.float64(cell[f"h{gate}"]["kernel"])
            + np.float64(cell[f"h{gate}"]["bias"])
            for gate in GATES
        }
        c = sigmoid(z["f"]) * c + sigmoid(z["i"]) * np.tanh(z["g"])
        h = sigmoid(z["o"]) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1), (c, h)


def random_layer(rng: np.random.Generator, batch: int, steps: int, features: int, hidden: int):
    layer = LSTM(hidden)
    inputs = jnp.asarray(rng.normal(size=(batch, steps, features)), jnp.float32)
    params = layer.init(jax.random.key(3), inputs)["params"]
    # Random biases too, so that no term of the equations can be forgotten.
    params = jax.tree.map(
        lambda a: a + jnp.asarray(0.3 * rng.normal(size=a.shape), jnp.float32), params
    )
    return layer, params, inputs


@pytest.mark.parametrize(
    ("batch", "steps", "features", "hidden"), [(3, 7, 5, 4), (1, 1, 1, 1), (2, 28, 28, 16)]
)
def test_equals_float64_numpy(
    rng: np.random.Generator, batch: int, steps: int, features: int, hidden: int
) -> None:
    layer, params, inputs = random_layer(rng, batch, steps, features, hidden)
    c, h = rng.normal(size=(2, batch, hidden)).astype(np.float32)
    outputs, carry = layer.apply({"params": params}, inputs, (jnp.asarray(c), jnp.asarray(h)))
    expected, expected_carry = numpy_lstm(params["cell"], np.float64(inputs), c, h)
    np.testing.assert_allclose(outputs, expected, atol=2e-6)
    np.testing.assert_allclose(carry[0], expected_carry[0], atol=4e-6)
    np.testing.assert_allclose(carry[1], expected_carry[1], atol=2e-6)


def test_equals_python_loop_over_the_flax_cell(rng: np.random.Generator) -> None:
    layer, params, inputs = random_layer(rng, 3, 9, 5, 8)
    outputs, _ = layer.apply({"params": params}, inputs)
    cell = nn.LSTMCell(8)
    carry = layer.initialize_carry(3)
    for t in range(9):
        carry, output = cell.apply({"params": params["cell"]}, carry, inputs[:, t])
        np.testing.assert_allclose(outputs[:, t], output, atol=1e-6)


def test_gradients_equal_finite_differences_of_float64_numpy(rng: np.random.Generator) -> None:
    layer, params, inputs = random_layer(rng, 2, 6, 3, 4)
    weights = rng.normal(size=(2, 6, 4))
    zeros = np.zeros((2, 4))

    def loss(params: Any, inputs: Any) -> Any:
        outputs, (c, _) = layer.apply({"params": params}, inputs)
        return (outputs * jnp.asarray(weights, jnp.float32)).sum() + c.sum()

    def numpy_loss(params: Any, inputs: Any) -> float:
        outputs, (c, _) = numpy_lstm(params["cell"], inputs, zeros, zeros)
        return float((outputs * weights).sum() + c.sum())

    param_grads, input_grads = jax.grad(loss, argnums=(0, 1))(params, inputs)
    double = jax.tree.map(np.float64, (params, inputs))
    leaves, structure = jax.tree.flatten(double)
    for number, (leaf, grad) in enumerate(
        zip(leaves, jax.tree.leaves((param_grads, input_grads)), strict=True)
    ):
        for index in list(np.ndindex(leaf.shape))[::3]:
            values = []
            for sign in (1, -1):
                moved = leaf.copy()
                moved[index] += sign * 1e-6
                changed = [*leaves[:number], moved, *leaves[number + 1 :]]
                values.append(numpy_loss(*jax.tree.unflatten(structure, changed)))
            assert grad[index] == pytest.approx((values[0] - values[1]) / 2e-6, abs=2e-5)


def test_first_step_with_forget_bias_by_hand() -> None:
    # Kernels 0, so only biases speak: i = o = sigmoid(0) = 1/2, g = tanh(0) = 0, and the carry
    # c = 1 shrinks to sigmoid(forget bias): 0.7310586 for bias 1, 1/2 for bias 0.
    for bias, kept in ((1.0, 0.7310586), (0.0, 0.5)):
        layer = LSTM(1, forget_bias=bias)
        params = layer.init(jax.random.key(0), jnp.zeros((1, 1, 1)))["params"]
        params = jax.tree_util.tree_map_with_path(
            lambda path, a: jnp.zeros_like(a) if path[-1].key == "kernel" else a, params
        )
        one = jnp.ones((1, 1))
        outputs, (c, _) = layer.apply({"params": params}, jnp.zeros((1, 1, 1)), (one, one))
        assert c.item() == pytest.approx(kept, abs=1e-6)
        assert outputs.item() == pytest.approx(0.5 * np.tanh(kept), abs=1e-6)


def test_initial_parameters() -> None:
    layer = LSTM(8, forget_bias=2.5)
    cell = layer.init(jax.random.key(0), jnp.zeros((1, 2, 3)))["params"]["cell"]
    plain = nn.LSTMCell(8).init(jax.random.key(0), layer.initialize_carry(1), jnp.zeros((1, 3)))[
        "params"
    ]
    assert jax.tree.map(jnp.shape, cell) == jax.tree.map(jnp.shape, plain)
    np.testing.assert_array_equal(cell["hf"]["bias"], np.full(8, 2.5))
    for gate in "igo":
        np.testing.assert_array_equal(cell[f"h{gate}"]["bias"], np.zeros(8))
    for gate in GATES:
        kernel = cell[f"h{gate}"]["kernel"]
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)
    assert not np.allclose(cell["hi"]["kernel"], cell["hf"]["kernel"])


def test_forget_bias_is_only_where_it_starts(rng: np.random.Generator) -> None:
    layer, params, inputs = random_layer(rng, 1, 2, 3, 4)
    _, changed = layer.apply({"params": params}, inputs, mutable=["params"])
    np.testing.assert_array_equal(
        changed["params"]["cell"]["hf"]["bias"], params["cell"]["hf"]["bias"]
    )


def test_two_halves_equal_the_whole(rng: np.random.Generator) -> None:
    layer, params, inputs = random_layer(rng, 2, 10, 3, 4)
    whole, carry = layer.apply({"params": params}, inputs)
    first, middle = layer.apply({"params": params}, inputs[:, :4])
    second, end = layer.apply({"params": params}, inputs[:, 4:], middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(end[0], carry[0], atol=1e-6)


def test_time_flows_forwards_and_examples_are_apart(rng: np.random.Generator) -> None:
    layer, params, inputs = random_layer(rng, 3, 6, 2, 4)

    def output(inputs: Any, example: int, step: int) -> Any:
        return layer.apply({"params": params}, inputs)[0][example, step].sum()

    grads = jax.grad(output)(inputs, 1, 3)
    reached = np.abs(grads).sum(axis=-1) > 0
    expected = np.zeros((3, 6), bool)
    expected[1, :4] = True
    np.testing.assert_array_equal(reached, expected)


def test_bfloat16_products_keep_a_float32_carry(rng: np.random.Generator) -> None:
    layer, params, inputs = random_layer(rng, 2, 5, 3, 4)
    half = LSTM(4, dtype=jnp.dtype("bfloat16"))
    outputs, carry = layer.apply({"params": params}, inputs)
    with jax.numpy_dtype_promotion("standard"):  # Flax's cell adds bf16 products to its f32 carry.
        rough, rough_carry = half.apply({"params": params}, inputs)
    assert rough_carry[0].dtype == jnp.float32
    np.testing.assert_allclose(rough_carry[0], carry[0], atol=0.05)
    np.testing.assert_allclose(rough.astype(jnp.float32), outputs, atol=0.05)
    assert not np.array_equal(rough.astype(jnp.float32), outputs)
