"""Which products the ways to run a layer compute, and in which precision."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models.cells.jax_operations import JaxOperations
from seqvision.models.recurrent import Recurrent
from seqvision.runtime.cpu_devices import has_vectors
from seqvision.runtime.native_library import compiler
from tests.models.random_layers import (
    CELL_NAMES,
    PATHS,
    assert_roughly,
    random_array,
    random_carry,
    random_params,
    random_weights,
    spread_lengths,
    total,
)

# --- precision ---


def test_the_gradient_of_bfloat16_weights_is_summed_up_exactly(rng: np.random.Generator) -> None:
    """See findings/jax_bfloat16_gradient_of_three_axes.sh."""
    operations = JaxOperations(jnp.dtype("bfloat16"))
    inputs, kernel = random_array(rng, 5, 60, 90), random_array(rng, 90, 80)
    factors = random_array(rng, 5, 60, 80)

    @jax.jit
    def loss(kernel: Any, inputs: Any, factors: Any) -> Any:
        return (operations.matmul(inputs, kernel) * factors).sum()

    rounded = [np.float64(leaf.astype(jnp.bfloat16)) for leaf in (inputs, factors)]
    exact = np.einsum("tbi,tbo->io", *rounded)
    assert_roughly(jax.grad(loss)(kernel, inputs, factors), exact, 3e-3)


@pytest.mark.parametrize(
    ("cell", "input_size", "option"),
    [
        ("lstm", 3, ""),
        ("lstm", 3, "lengths"),
        ("lstm", 3, "reverse"),
        ("lstm", 3, "dropout"),
        ("gru", 30, ""),
    ],
)
def test_bfloat16_products(
    rng: np.random.Generator, cell: str, input_size: int, option: str
) -> None:
    inputs = random_array(rng, 4, 6, input_size).astype(jnp.bfloat16)
    rough, exact = jnp.dtype("bfloat16"), jnp.dtype("float32")
    has_native = cell == "lstm" and bool(compiler()) and has_vectors("avx512_bf16")
    native = [("native", rough)] * has_native
    layers = [
        Recurrent(
            cell,
            5,
            recurrent_dropout=0.4 if option == "dropout" else 0.0,
            reverse=option == "reverse",
            execution=path,
            dtype=dtype,
        )
        for path, dtype in (*((path, rough) for path in PATHS), ("fused", exact), *native)
    ]
    lengths = jnp.asarray(spread_lengths(4, 6)) if option == "lengths" else None
    params = random_params(rng, layers[0], input_size)
    params = jax.tree.map(lambda leaf: leaf / np.float32(np.sqrt(input_size)), params)
    weights = random_weights(rng, jnp.zeros((4, 6, 5)), random_carry(rng, cell, 4, 5))

    def loss(params: Any, inputs: Any, layer: Recurrent) -> Any:
        outputs, end = layer.apply(
            {"params": params}, inputs, lengths, train=True, rngs={"dropout": jax.random.key(1)}
        )
        return total(outputs, end, weights, "both"), (outputs, end)

    def read(params: Any, inputs: Any) -> Any:
        return [jax.grad(loss, (0, 1), has_aux=True)(params, inputs, layer) for layer in layers]

    scan, fused, float32, *more = jax.jit(read)(params, inputs)
    for found in (fused, *more):
        # A bfloat16 has 8 binary digits: one rounding is up to 0.4 % off.
        assert_roughly(found, scan, 0.03)
        assert_roughly(found, float32, 0.03)
        (of_params, of_inputs), (outputs, end) = found
        assert {leaf.dtype for leaf in jax.tree.leaves((of_params, outputs, end))} == {exact}
        assert of_inputs.dtype == rough
        assert not np.array_equal(outputs, float32[1][0])


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("input_size", [3, 30])
def test_every_product_is_of_bfloat16(cell: str, input_size: int) -> None:
    layer = Recurrent(cell, 5, execution="fused", dtype=jnp.dtype("bfloat16"))
    inputs = jnp.zeros((4, 6, input_size), jnp.bfloat16)
    params = jax.eval_shape(layer.init, jax.random.key(0), inputs)

    def loss(params: Any, inputs: Any) -> Any:
        return layer.apply(params, inputs)[0].sum()

    program = jax.make_jaxpr(jax.grad(loss, (0, 1)))(params, inputs)
    products = equations(program, "dot_general")
    assert {var.aval.dtype for product in products for var in product.invars} == {
        np.dtype("bfloat16")
    }
    (*_, back) = equations(program, "scan")
    assert {np.dtype("float32")} == {var.aval.dtype for var in back.outvars}


# --- what is computed ---


def equations(program: Any, name: str) -> list[Any]:
    """All of that name, inside loops as well."""
    found = []
    for equation in program.jaxpr.eqns:
        found += [equation] if equation.primitive.name == name else []
        for part in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")
        ):
            if hasattr(part, "jaxpr"):
                found += equations(part, name)
    return found


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_what_no_one_asks_for_is_not_computed(cell: str) -> None:
    layer, inputs = Recurrent(cell, 5, execution="fused"), jnp.zeros((3, 8, 2))
    params = jax.eval_shape(layer.init, jax.random.key(0), inputs)

    def program(asked: str, *argnums: int) -> Any:
        def loss(params: Any, inputs: Any) -> Any:
            outputs, end = layer.apply(params, inputs)
            return outputs.sum() if asked == "outputs" else jax.tree.leaves(end)[-1].sum()

        return jax.make_jaxpr(jax.grad(loss, argnums))(params, inputs)

    # Two steps stand in the body of the loop, and each needs one product for its inputs' gradient.
    products = [len(equations(program("last", *of), "dot_general")) for of in ((0,), (0, 1))]
    assert products[1] - products[0] == 2
    # The loop back reads a gradient of the outputs only where there is one.
    sizes = [len(equations(program(asked, 0), "scan")[-1].invars) for asked in ("last", "outputs")]
    assert sizes[1] - sizes[0] == 1
