"""The recurrent cells against float64 equations, Flax's cells, and the laws of their start."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models.cells import CELLS
from seqvision.models.cells.base import Cell, CellOptions
from seqvision.models.cells.initializers import keep_bias
from tests.models import numpy_cells
from tests.models.numpy_cells import CASES, NAMES, PAIRS

GATES = {
    "lstm": "ifgo",
    "layer_norm_lstm": "ifgo",
    "gru": "rzn",
    "gru_reset_before": "rzn",
    "janet": "fg",
    "min_lstm": "ifg",
    "min_gru": "zg",
}
KEEP = {"gru": "z", "gru_reset_before": "z", "min_gru": "z"}  # f in the others.
INPUT_GATES = ("lstm", "layer_norm_lstm", "min_lstm")
H = 4


def cell_of(name: str, input_size: int, size: int, num_steps: int | None, **options: Any) -> Cell:
    return CELLS[name](input_size, size, options=CellOptions(**options), num_steps=num_steps)


def make(
    name: str,
    input_size: int = 3,
    hidden_size: int = H,
    num_steps: int | None = None,
    **options: Any,
):
    cell = cell_of(name, input_size, hidden_size, num_steps, **options)
    variables = cell.init(jax.random.key(0), jnp.zeros((1, input_size)), method="project")
    return cell, variables["params"]


def make_random(rng: np.random.Generator, name: str, size: int = H, **options: Any):
    """Random everywhere, so that no term of the equations can be forgotten."""
    cell = cell_of(name, 3, size, None, **options)
    init = functools.partial(cell.init, method="project")
    shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 3)))["params"]
    return cell, jax.tree.map(
        lambda a: jnp.asarray(0.5 * rng.normal(size=a.shape), jnp.float32), shapes
    )


def random_carry(rng: np.random.Generator, name: str, batch: int, hidden: int = H) -> Any:
    first, second = (jnp.asarray(rng.normal(size=(batch, hidden)), jnp.float32) for _ in range(2))
    return (first, second) if name in PAIRS else second


def gate_biases(name: str, params: Any, order: str | None = None) -> dict[str, np.ndarray]:
    order = order or GATES[name]
    return dict(zip(order, np.split(np.asarray(params["bias"]), len(order)), strict=True))


@pytest.mark.parametrize(("name", "refine"), CASES)
def test_a_step_equals_float64_equations_and_their_derivatives(
    rng: np.random.Generator, name: str, refine: bool
) -> None:
    cell, params = make_random(rng, name, refine_gates=refine)
    inputs = jnp.asarray(rng.normal(size=(2, 3)), jnp.float32)
    carry = random_carry(rng, name, 2)
    mask = np.array([[2, 0, 2, 2], [0, 2, 2, 0]], np.float32)
    weights = rng.normal(size=(2, H)).astype(np.float32)

    def loss(params: Any, inputs: Any, carry: Any) -> Any:
        variables = {"params": params}
        projected = cell.apply(variables, inputs, method="project")
        end, output = cell.apply(variables, carry, projected, jnp.asarray(mask), method="step")
        value = (output * jnp.asarray(weights)).sum() + jax.tree.leaves(end)[0].sum()
        return value, (output, end)

    grads, found = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(params, inputs, carry)
    leaves, structure = jax.tree.flatten((params, inputs, carry))
    leaves = [np.asarray(leaf, np.float64) for leaf in leaves]

    def expected(leaves: Any) -> Any:
        params, inputs, carry = jax.tree.unflatten(structure, leaves)
        outputs, end = numpy_cells.read(name, refine, params, inputs[:, None], carry, mask=mask)
        return outputs[:, 0], end

    def expected_loss(leaves: Any) -> Any:
        output, end = expected(leaves)
        return (output * weights).sum() + jax.tree.leaves(end)[0].sum()

    wanted = expected(leaves)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-6), found, wanted)
    for number, grad in enumerate(jax.tree.leaves(grads)):
        indices = list(np.ndindex(grad.shape))
        for choice in rng.permutation(len(indices))[:8]:
            slope = numpy_cells.derivative(expected_loss, leaves, number, indices[choice])
            assert grad[indices[choice]] == pytest.approx(slope, rel=1e-4, abs=2e-5)


@pytest.mark.parametrize(("name", "flax_class"), [("lstm", nn.LSTMCell), ("gru", nn.GRUCell)])
def test_equals_flax(rng: np.random.Generator, name: str, flax_class: Any) -> None:
    cell, params = make_random(rng, name)
    carry = random_carry(rng, name, 2)
    inputs = jnp.asarray(rng.normal(size=(2, 3)), jnp.float32)
    order = GATES[name]
    split = {key: np.split(value, len(order), axis=-1) for key, value in params.items()
             if key != "candidate_bias"}  # fmt: skip
    theirs: dict[str, Any] = {}
    for number, gate in enumerate(order):
        theirs[f"i{gate}"] = {"kernel": split["input_kernel"][number]}
        theirs[f"h{gate}"] = {"kernel": split["recurrent_kernel"][number]}
        biased = "h" if name == "lstm" else "i"
        theirs[f"{biased}{gate}"]["bias"] = split["bias"][number]
    if name == "gru":
        theirs["hn"]["bias"] = params["candidate_bias"]
    expected = flax_class(H).apply({"params": theirs}, carry, inputs)
    projected = cell.apply({"params": params}, inputs, method="project")
    found = cell.apply({"params": params}, carry, projected, method="step")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


def test_refined_gates_by_hand() -> None:
    # Kernels 0 and f = sigmoid(0) = 1/2. With r near 1 the effective gate is 1 - (1/2)^2 = 3/4,
    # with r near 0 it is (1/2)^2 = 1/4, with r = 1/2 it is 1/2. The candidate is 0.
    for r, kept in ((50.0, 0.75), (-50.0, 0.25), (0.0, 0.5)):
        for name, place in (("lstm", 0), ("gru", 3)):
            cell, params = make_random(np.random.default_rng(0), name, 1, refine_gates=True)
            params = jax.tree.map(lambda a: jnp.asarray(np.zeros(a.shape, np.float32)), params)
            projected = np.zeros((1, 4), np.float32)
            projected[0, place] = r
            projected = jnp.asarray(projected)
            one = jnp.ones((1, 1))
            carry = (one, one) if name == "lstm" else one
            end, _ = cell.apply({"params": params}, carry, projected, method="step")
            assert jax.tree.leaves(end)[0].item() == pytest.approx(kept, abs=1e-6)


def test_min_lstm_shares_between_closed_gates() -> None:
    cell, params = make_random(np.random.default_rng(0), "min_lstm", 1)
    # sigmoid(-200) is 0 in float32; the ratio of the two is e^0, e^1 and e^-100 all the same.
    for i, f, keep in ((-200, -200, 0.5), (-200, -199, 0.7310586), (-100, -200, 0.0)):

        def end(projected: Any) -> Any:
            return cell.apply({"params": params}, jnp.ones((1, 1)), projected, method="step")[1][
                0, 0
            ]

        value, grad = jax.value_and_grad(end)(jnp.array([[i, f, 0.0]], jnp.float32))
        assert value == pytest.approx(keep, abs=1e-6)
        assert grad[0, 1] == pytest.approx(keep * (1 - keep), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str) -> None:
    cell, params = make(name, 3, H)
    width = len(GATES[name]) * H
    shapes = {"input_kernel": (3, width), "bias": (width,)}
    if not name.startswith("min"):
        shapes["recurrent_kernel"] = (H, width)
    if name == "gru":
        shapes["candidate_bias"] = (H,)
    if name == "layer_norm_lstm":
        shapes |= {"input_scale": (width,), "recurrent_scale": (width,)}
        shapes |= {"memory_scale": (H,), "memory_offset": (H,)}
        for key in ("input_scale", "recurrent_scale", "memory_scale"):
            np.testing.assert_array_equal(params[key], 1)
        np.testing.assert_array_equal(params["memory_offset"], 0)
    assert {key: value.shape for key, value in params.items()} == shapes
    assert {value.dtype for value in params.values()} == {np.dtype("float32")}
    carry = cell.initialize_carry(2)
    zeros = np.zeros((2, H), np.float32)
    expected = (zeros, zeros) if name in PAIRS else zeros
    jax.tree.map(np.testing.assert_array_equal, carry, expected)


@pytest.mark.parametrize("name", NAMES)
def test_constant_bias_is_at_the_keeping_gate(name: str) -> None:
    for forget_bias in (1.0, 2.5):
        _, params = make(name, forget_bias=forget_bias)
        for gate, bias in gate_biases(name, params).items():
            sign = -1 if name == "min_gru" else 1
            keeps = gate == KEEP.get(name, "f")
            np.testing.assert_array_equal(bias, np.full(H, sign * forget_bias if keeps else 0.0))
    if name == "gru":
        np.testing.assert_array_equal(params["candidate_bias"], 0)


def test_chrono_and_uniform_are_uniform_in_memory_and_in_gate() -> None:
    size = 256
    chrono = np.float64(keep_bias("chrono", 1.0, 101)(jax.random.key(0), (size,)))
    uniform = np.float64(keep_bias("uniform", 1.0, None)(jax.random.key(0), (size,)))
    memory = (np.exp(chrono) - 1) / 99  # exp(b) is uniform on [1, T - 1].
    gate = (1 / (1 + np.exp(-uniform)) - 1 / size) / (1 - 2 / size)  # On [1/H, 1 - 1/H].
    for position in (memory, gate):
        assert position.min() > -1e-6
        assert position.max() < 1 + 1e-6
        # The largest distance between 256 draws and their law: over 0.102 once in 100 times.
        assert np.abs(np.sort(position) - np.arange(1, size + 1) / size).max() < 0.102


@pytest.mark.parametrize("name", NAMES)
def test_chrono_and_uniform_biases_are_at_the_keeping_gate(name: str) -> None:
    for gate_init, low, high in (("chrono", 0, np.log(100)), ("uniform", -np.log(3), np.log(3))):
        _, params = make(name, gate_init=gate_init, num_steps=101)
        biases = gate_biases(name, params)
        keep = biases.pop(KEEP.get(name, "f")) * (-1 if name == "min_gru" else 1)
        assert len(set(keep)) == H
        assert np.all((keep > low - 1e-6) & (keep < high + 1e-6))
        if name in INPUT_GATES:
            np.testing.assert_array_equal(biases.pop("i"), -keep)
        for other in biases.values():
            np.testing.assert_array_equal(other, 0)


def test_refine_gates_start() -> None:
    for name, order, refine in (("lstm", "rfgo", "r"), ("gru", "rznq", "q")):
        for gate_init in ("uniform", "chrono", "constant"):
            _, params = make(name, gate_init=gate_init, num_steps=9, refine_gates=True)
            biases = gate_biases(name, params, order)
            keep = biases[KEEP.get(name, "f")]
            assert np.any(keep != 0)
            np.testing.assert_array_equal(biases[refine], -keep * (gate_init == "uniform"))
            for gate in set(order) - {refine, KEEP.get(name, "f")}:
                np.testing.assert_array_equal(biases[gate], 0)


def test_biases_of_the_smallest_sizes_are_zero() -> None:
    for num_steps in (1, 2):
        bias = keep_bias("chrono", 1.0, num_steps)(jax.random.key(0), (H,))
        np.testing.assert_array_equal(bias, 0)
    for size in (1, 2):
        bias = keep_bias("uniform", 1.0, None)(jax.random.key(0), (size,))
        np.testing.assert_allclose(bias, 0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("min")])
def test_recurrent_kernels_start_orthogonal_or_as_identity(name: str) -> None:
    _, params = make(name)
    blocks = np.split(np.asarray(params["recurrent_kernel"]), len(GATES[name]), axis=-1)
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-5)
    assert not np.allclose(blocks[0], blocks[1])
    _, params = make(name, recurrent_init="identity")
    for block in np.split(np.asarray(params["recurrent_kernel"]), len(GATES[name]), axis=-1):
        np.testing.assert_array_equal(block, np.eye(H))


def test_input_kernels_start_at_the_scale_of_their_inputs() -> None:
    _, params = make("min_lstm", 400, 100)
    for block in np.split(np.asarray(params["input_kernel"]), 3, axis=-1):
        assert block.std() == pytest.approx(1 / np.sqrt(400), rel=0.03)
        assert block.mean() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        *((name, {"refine_gates": True}, "no refine gate")
          for name in ("gru_reset_before", "layer_norm_lstm", "janet", "min_lstm", "min_gru")),
        ("min_lstm", {"recurrent_init": "identity"}, "no recurrent kernel"),
        ("min_gru", {"recurrent_init": "identity"}, "no recurrent kernel"),
        ("lstm", {"recurrent_init": "eye"}, "recurrent_init 'eye' is not known; choose one of ort"),
        ("lstm", {"gate_init": "chrone"}, "gate_init 'chrone' is not known; choose one of const"),
        ("gru", {"gate_init": "chrono"}, "needs num_steps"),
    ],
)  # fmt: skip
def test_options_without_effect_or_meaning(name: str, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(name, **options)
