"""`scan`, `fused` and `native` give the same values and gradients, those of equations in float64.

YNN, the library to which XLA can hand products on CPUs, is switched on and off inside the tests;
what jax does by default is neither everywhere.
"""

import itertools
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from seqvision.models import create_model
from seqvision.models.cells.base import CellOptions
from seqvision.models.dropout import Dropout
from seqvision.models.recurrent import Recurrent, RecurrentStack
from seqvision.runtime.mesh import create_mesh
from seqvision.runtime.native_library import compiler
from tests.models import numpy_cells
from tests.models.random_layers import (
    CELL_NAMES,
    PATHS,
    as_float64,
    assert_roughly,
    random_array,
    random_carry,
    random_params,
    random_weights,
    spread_lengths,
    total,
    with_nan_padding,
)

YNN = "xla_cpu_experimental_ynn_fusion_type"
NATIVE = [("lstm", "native")] * bool(compiler())
YNN_ON, YNN_OFF = {YNN: "LIBRARY_FUSION_TYPE_DOT"}, {YNN: ""}

GRID = """
lstm 1x1x1x1  carry   .       reverse .     inputs .       .   .
lstm 1x1x1x1  outputs lengths .       start inputs .       .   scan
lstm 3x7x2x5  both    lengths .       .     .      .       ynn .
lstm 3x7x2x5  carry   lengths .       start inputs dropout ynn .
lstm 2x8x3x4  both    lengths reverse start inputs dropout .   .
lstm 2x8x3x4  outputs .       .       .     .      .       ynn .
lstm 3x6x17x4 outputs lengths .       start inputs dropout ynn .
gru  1x1x1x1  both    .       reverse .     .      dropout ynn .
gru  3x7x2x5  outputs .       reverse start .      dropout .   scan
gru  2x8x3x4  carry   lengths reverse start inputs dropout ynn scan
gru  3x6x17x4 both    lengths .       .     inputs .       ynn scan
gru  3x6x17x4 carry   .       reverse start .      dropout .   .
"""
"""Cell, B x T x D x H, what the loss reads, and what there is: lengths of T to 0 (NaN after them),
reversal, an initial carry, a gradient of the inputs, recurrent dropout, YNN, and `scan` beside
`fused` (of the LSTM, `native` too). In the last size the inputs are so wide that they meet their
kernel before the loop."""

ROWS = [tuple(line.split()) for line in GRID.strip().splitlines()]
ODD_AND_WIDE = [
    (cell, "3x7x17x4", "both", "lengths", "reverse", "start", "inputs", ".", ".", ".")
    for cell in CELL_NAMES
]
"""Beyond the grid: inputs that meet their kernel before a loop of two steps and one left over."""
LONG = [
    ("lstm", "3x67x2x5", "both", "lengths", ".", "start", "inputs", "dropout", ".", "."),
    ("gru", "2x64x17x4", "both", "lengths", "reverse", "start", "inputs", ".", ".", "."),
]
"""So many steps that the gradient of the weights is that of eight at once."""


def assert_close(found: Any, expected: Any, tolerance: float = 2e-5) -> None:
    """Equal but for `tolerance` times the largest entry (or 1) of each array."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = max(1.0, np.abs(np.asarray(other, np.float64)).max(initial=0))
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


# --- one layer, against each other and against float64 ---


def test_every_pair_of_choices_is_in_the_grid() -> None:
    for one, other in itertools.combinations(zip(*ROWS, strict=True), 2):
        assert len(set(zip(one, other, strict=True))) == len(set(one)) * len(set(other))


@pytest.mark.parametrize(
    "row", [*ROWS, *ODD_AND_WIDE, *LONG], ids=lambda row: " ".join(row).replace(" .", "")
)
def test_layers_equal_each_other_and_float64(
    rng: np.random.Generator, row: tuple[str, ...]
) -> None:
    cell, sizes, asked, *options = row
    batch, num_steps, input_size, hidden = map(int, sizes.split("x"))
    layers = [
        Recurrent(
            cell,
            hidden,
            recurrent_dropout=0.4 if "dropout" in options else 0.0,
            reverse="reverse" in options,
            execution=path,
        )
        for path in (*PATHS, "native")
        if path == "fused" or path in options or (cell, path) in NATIVE
    ]
    lengths = spread_lengths(batch, num_steps) if "lengths" in options else None
    inputs = random_array(rng, batch, num_steps, input_size)
    if lengths is not None:
        inputs = with_nan_padding(inputs, lengths)
    start = random_carry(rng, cell, batch, hidden)
    wanted = {"params": random_params(rng, layers[0], input_size)}
    given = {} if "inputs" in options else {"inputs": inputs}
    wanted |= {"inputs": inputs} if "inputs" in options else {}
    wanted |= {"start": start} if "start" in options else {}
    weights = random_weights(rng, jnp.zeros((batch, num_steps, hidden)), start)

    @partial(jax.jit, compiler_options=YNN_ON if "ynn" in options else YNN_OFF)
    def read(wanted: Any, given: Any) -> Any:
        def loss(wanted: Any, layer: Recurrent) -> Any:
            every = {"start": None, **wanted, **given}
            (outputs, end), seen = layer.apply(
                {"params": every["params"]},
                every["inputs"],
                None if lengths is None else jnp.asarray(lengths),
                every["start"],
                train=True,
                rngs={"dropout": jax.random.key(1)},
                capture_intermediates=lambda module, _: isinstance(module, Dropout),
                mutable="intermediates",
            )
            return total(outputs, end, weights, asked), (outputs, end, seen)

        return [jax.grad(loss, has_aux=True)(wanted, layer) for layer in layers]

    found = read(wanted, given)
    mask = None
    if "dropout" in options:
        mask, *others = (jax.tree.leaves(dropped)[0] for _, (_, _, dropped) in found)
        jax.tree.map(partial(np.testing.assert_array_equal, mask), others)
    leaves, structure = jax.tree.flatten(as_float64(wanted))

    def expected(leaves: Any) -> Any:
        every = {"start": jax.tree.map(np.zeros_like, as_float64(start)), **as_float64(given)}
        every |= jax.tree.unflatten(structure, leaves)
        return numpy_cells.read(
            cell,
            False,
            every["params"]["cell"],
            every["inputs"],
            every["start"],
            lengths,
            as_float64(mask),
            "reverse" in options,
        )

    for grads, values in found:
        assert_close(grads, found[0][0])
        assert_close(values[:2], expected(leaves), 5e-6)
        for number, grad in enumerate(as_float64(jax.tree.leaves(grads))):
            for direction in rng.normal(size=(3, *grad.shape)):
                slope = numpy_cells.slope(
                    lambda leaves: total(*expected(leaves), as_float64(weights), asked),
                    leaves,
                    number,
                    direction,
                )
                assert np.vdot(direction, grad) == pytest.approx(slope, rel=1e-4, abs=5e-5)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_ten_thousand_steps(rng: np.random.Generator, cell: str) -> None:
    inputs = random_array(rng, 1, 10_000, 1)
    params = random_params(rng, Recurrent(cell, 2), 1)

    @jax.jit
    def read(params: Any, inputs: Any) -> Any:
        def loss(params: Any, inputs: Any, path: str) -> Any:
            outputs, end = Recurrent(cell, 2, execution=path).apply({"params": params}, inputs)
            return (outputs**2).mean() + jax.tree.leaves(end)[-1].sum(), end

        return [jax.grad(loss, (0, 1), has_aux=True)(params, inputs, path) for path in PATHS]

    scan, fused = read(params, inputs)
    assert_close(fused, scan)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(fused))
    cell_params, start = as_float64(params["cell"]), np.zeros((1, 2))
    before = (start, start) if cell == "lstm" else start
    assert_close(
        fused[1], numpy_cells.read(cell, False, cell_params, as_float64(inputs), before)[1]
    )


def test_the_switch_of_ynn_is_real() -> None:
    product = jax.jit(jnp.matmul).lower(jnp.ones((64, 64)), jnp.ones((64, 64)))
    assert "__ynn_fusion" not in product.compile(YNN_OFF).as_text()
    if sys.platform == "linux":  # Elsewhere jaxlib may come without it.
        assert "__ynn_fusion" in product.compile(YNN_ON).as_text()


# --- stacks and networks ---


def test_stacks_equal_each_other(rng: np.random.Generator) -> None:
    lengths = np.array([6, 3, 0], np.int32)
    inputs = with_nan_padding(random_array(rng, 3, 6, 3), lengths)
    start = tuple(tuple(random_carry(rng, "lstm", 3, 4) for _ in range(2)) for _ in range(2))
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "recurrent_dropout": 0.2}
    stacks = [RecurrentStack("lstm", 4, execution=path, **options) for path in PATHS]
    params = random_params(rng, stacks[0], 3)
    weights = random_weights(rng, jnp.zeros((3, 6, 8)), start)

    @jax.jit
    def read(*wanted: Any) -> Any:
        def loss(wanted: Any, stack: RecurrentStack) -> Any:
            params, inputs, start = wanted
            outputs, end = stack.apply(
                {"params": params},
                inputs,
                jnp.asarray(lengths),
                start,
                train=True,
                rngs={"dropout": jax.random.key(1)},
            )
            return total(outputs, end, weights, "both"), (outputs, end)

        return [jax.grad(loss, has_aux=True)(wanted, stack) for stack in stacks]

    scan, fused = read(params, inputs, start)
    assert_close(fused, scan)
    of_inputs = np.asarray(fused[0][1])
    np.testing.assert_array_equal(of_inputs == 0, np.isnan(inputs))


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_parameters_are_the_same(cell: str) -> None:
    options = CellOptions(gate_init="uniform", recurrent_init="identity")
    first, second = (
        jax.jit(Recurrent(cell, 4, options, execution=path).init)(
            jax.random.key(3), jnp.zeros((1, 5, 3))
        )
        for path in PATHS
    )
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_a_network_behind_a_cnn_has_the_same_gradients(rng: np.random.Generator) -> None:
    images = jnp.asarray(rng.uniform(size=(4, 8, 8, 1)), jnp.float32)
    options = {"num_classes": 3, "sequence": "cnn_rows", "cnn_channels": (4,), "hidden_size": 5}
    models = [create_model(execution=path, **options) for path in PATHS]
    params = jax.jit(models[0].init)(jax.random.key(0), images)["params"]

    @jax.jit
    def read(params: Any) -> Any:
        def loss(params: Any, model: Any) -> Any:
            logits = model.apply({"params": params}, images)
            return (jax.nn.log_softmax(logits)[:, 0]).mean()

        return [jax.value_and_grad(loss)(params, model) for model in models]

    scan, fused = read(params)
    assert_roughly(fused, scan, 1e-4)


# --- many seeds, many devices ---


@pytest.mark.parametrize(("cell", "path"), [*((cell, "fused") for cell in CELL_NAMES), *NATIVE])
def test_seeds_side_by_side_equal_one_by_one(
    cell: str, path: str, rng: np.random.Generator
) -> None:
    layer = Recurrent(cell, 4, CellOptions(recurrent_init="identity"), execution=path)
    inputs, lengths = random_array(rng, 3, 6, 2), jnp.asarray([6, 4, 0], jnp.int32)

    def one(seed: Any) -> Any:
        def loss(params: Any) -> Any:
            outputs, end = layer.apply(params, inputs, lengths)
            return (outputs**2).sum() + jax.tree.leaves(end)[0].sum()

        return jax.value_and_grad(loss)(layer.init(jax.random.key(seed), inputs))

    seeds = jnp.arange(3, dtype=jnp.int32)
    together, alone = jax.jit(jax.vmap(one))(seeds), jax.jit(one)
    for number in range(3):
        assert_close(jax.tree.map(lambda leaf, at=number: leaf[at], together), alone(number))


@pytest.mark.parametrize(
    ("cell", "path", "split"),
    [
        ("lstm", "fused", "batch"),
        ("gru", "fused", "gates"),
        *((*native, split) for native in NATIVE for split in ("batch", "gates")),
    ],
)
def test_devices_that_share_a_batch_or_a_layer(
    rng: np.random.Generator, cell: str, path: str, split: str
) -> None:
    layer, mesh = Recurrent(cell, 4, execution=path), create_mesh(2)
    (axis,) = mesh.axis_names
    params, inputs = random_params(rng, layer, 2), random_array(rng, 4, 6, 2)
    lengths = np.array([6, 4, 0, 1], np.int32)

    def read(params: Any, inputs: Any, lengths: Any) -> Any:
        def loss(params: Any, inputs: Any) -> Any:
            outputs, end = layer.apply({"params": params}, inputs, lengths)
            return (outputs**2).sum() + jax.tree.leaves(end)[0].sum()

        return jax.value_and_grad(loss, (0, 1))(params, inputs)

    def share(params: Any, inputs: Any, lengths: Any) -> Any:
        value, (of_params, of_inputs) = read(params, inputs, lengths)
        return *jax.lax.psum((value, of_params), axis), of_inputs

    def place(tree: Any, mesh: Mesh, spec: P) -> Any:
        return jax.device_put(tree, NamedSharding(mesh, spec))

    compiled = jax.jit(read)
    value, (of_params, of_inputs) = compiled(params, inputs, lengths)
    # The compiler shares out the batch, or the gates.
    of_batch, of_kernels = (P(axis), P()) if split == "batch" else (P(), P(None, axis))
    placed = (
        jax.tree.map(lambda leaf: place(leaf, mesh, of_kernels if leaf.ndim == 2 else P()), params),
        *(place(leaf, mesh, of_batch) for leaf in (inputs, lengths)),
    )
    assert_close(compiled(*placed), (value, (of_params, of_inputs)))
    # Each device reads its share, as in training.
    shared = jax.shard_map(
        share,
        mesh=mesh,
        in_specs=(P(), P(axis), P(axis)),
        out_specs=(P(), P(), P(axis)),
        check_vma=False,
    )
    assert_close(jax.jit(shared)(params, inputs, lengths), (value, of_params, of_inputs))
