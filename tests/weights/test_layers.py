"""Layers of other libraries in networks of ours say what they said there.

The networks in tests/data/weights come from `make_networks.py` beside them; all biases are random.
"""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.errors import UserError
from seqvision.models import create_model
from seqvision.models.parameters import named_leaves
from seqvision.weights import fitting, flax_layers, own_layers, tensorflow_layers, torch_layers
from seqvision.weights.keras_layers import write as write_keras

FOLDER = Path(__file__).parents[1] / "data/weights"
NETWORKS = [
    ("torch", "lstm", (), "same"),
    ("torch", "lstm_stack", (), "same"),
    ("torch", "gru_stack", (), "same"),
    ("torch", "cnn_lstm", (3, 3, 3), "same"),
    ("keras", "lstm", (), "same"),
    ("keras", "gru", (), "same"),
    ("keras", "gru_before", (), "same"),
    ("keras", "lstm_both", (), "same"),
    ("keras", "cnn_lstm", (2, 2, 3), "valid"),
]


def network(library: str, name: str) -> tuple[dict[str, np.ndarray], Any, Any]:
    """Its arrays, inputs, and what the library said."""
    with np.load(FOLDER / f"{library}_networks.npz") as held:
        arrays = {key.partition("/")[2]: held[key] for key in held if key.startswith(f"{name}/")}
        return arrays, held[f"{name}:inputs"], held[f"{name}:probabilities"]


def ours(layers: Any, inputs: Any, padding: str = "same") -> tuple[Any, dict[str, Any]]:
    """A network for such layers, and the shapes of its parameters."""
    fields = {**fitting.implied(layers), "cnn_padding": padding}
    sequence = "cnn" if layers.convolutions else "rows"
    model = create_model(num_classes=3, sequence=sequence, execution="scan", **fields)
    shapes = jax.eval_shape(model.init, jax.random.key(0), inputs)["params"]
    return model, {name: leaf.shape for name, leaf in named_leaves(shapes)}


def tree(parts: Any) -> Any:
    nested: dict[str, Any] = {}
    for name, part in parts.items():
        *path, last = name.split("/")
        at = nested
        for step in path:
            at = at.setdefault(step, {})
        at[last] = jnp.asarray(part.array)
    return nested


def says(layers: Any, inputs: Any, features: Any, given: Any, padding: str = "same") -> Any:
    inputs = jnp.asarray(inputs.reshape(*inputs.shape[:3], -1))
    model, shapes = ours(layers, inputs, padding)
    parts = fitting.fit(layers, shapes, given, features or None)
    return jax.nn.softmax(model.apply({"params": tree(parts)}, inputs), axis=-1)


@pytest.mark.parametrize(("library", "name", "features", "padding"), NETWORKS)
def test_networks_say_the_same(library: str, name: str, features: Any, padding: str) -> None:
    arrays, inputs, said = network(library, name)
    layers = fitting.READERS[library](arrays)
    found = says(layers, inputs, features, arrays, padding)
    np.testing.assert_allclose(found, said, rtol=0, atol=2e-6)


def test_the_table_names_every_array() -> None:
    arrays, inputs, _ = network("torch", "gru_stack")
    layers = torch_layers.read(arrays)
    _, shapes = ours(layers, jnp.asarray(inputs[..., None]))
    lines = "\n".join(fitting.table(fitting.fit(layers, shapes, arrays)))
    assert all(name in lines for name in (*arrays, *shapes))


@pytest.mark.parametrize("name", ["lstm", "lstm_stack", "gru_stack", "cnn_lstm"])
def test_to_torch_and_back_are_the_same_bits(name: str) -> None:
    arrays, *_ = network("torch", name)
    layers = torch_layers.read(arrays)
    parts = own_layers.write(layers, (3, 3, 3) if layers.convolutions else None)
    held = {key: part.array for key, part in parts.items()}
    again = torch_layers.read(torch_layers.write(own_layers.read(held), (3, 3, 3)))
    returned = own_layers.write(again, (3, 3, 3))
    assert returned.keys() == held.keys()
    for key, part in returned.items():
        np.testing.assert_array_equal(part.array, held[key])


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_before"])
def test_to_keras_and_back_are_the_same_bits(name: str) -> None:
    arrays, *_ = network("keras", name)
    for layer in fitting.READERS["keras"](arrays).recurrent:
        (weights,) = write_keras(layer)
        held = {f"layers/rnn/cell/vars/{at}": array for at, array in enumerate(weights)}
        held |= {"layers/dense/vars/0": np.zeros((5, 3)), "layers/dense/vars/1": np.zeros(3)}
        again = fitting.READERS["keras"](held).recurrent[0]
        for key, part in again.directions[0].items():
            np.testing.assert_array_equal(part.array, layer.directions[0][key].array)


@pytest.mark.parametrize("cell", [nn.OptimizedLSTMCell, nn.LSTMCell, nn.GRUCell])
def test_cells_of_flax(rng: np.random.Generator, cell: Any) -> None:
    class Reader(nn.Module):
        @nn.compact
        def __call__(self, inputs: Any) -> Any:
            outputs = nn.RNN(cell(5))(inputs)
            outputs = nn.RNN(cell(5))(outputs)
            return nn.Dense(3)(outputs[:, -1])

    inputs = jnp.asarray(rng.random((2, 6, 4)), jnp.float32)
    model = Reader()
    params = jax.tree.map(
        lambda leaf: jnp.asarray(0.4 * rng.normal(size=leaf.shape), jnp.float32),
        model.init(jax.random.key(0), inputs),
    )
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(params["params"])}
    expected = jax.nn.softmax(model.apply(params, inputs), axis=-1)
    found = says(flax_layers.read(arrays), np.asarray(inputs), None, arrays)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def flax_cell(name: str, inputs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    arrays = {}
    for gate in "ifgo":
        arrays[f"{name}/i{gate}/kernel"] = np.float32(rng.normal(size=(inputs, 2)))
        arrays[f"{name}/h{gate}/kernel"] = np.float32(rng.normal(size=(2, 2)))
        arrays[f"{name}/h{gate}/bias"] = np.float32(rng.normal(size=2))
    return arrays


def test_the_order_of_flax_cells(rng: np.random.Generator) -> None:
    """By shapes where they tell it, else by numbers, else by `--map`."""
    end = {"out/kernel": np.zeros((2, 3), np.float32), "out/bias": np.zeros(3, np.float32)}

    def order(cells: dict[str, int]) -> list[str]:
        arrays = dict(end)
        for name, inputs in cells.items():
            arrays |= flax_cell(name, inputs, rng)
        read = flax_layers.read(arrays).recurrent
        return [layer.directions[0]["bias"].sources[0].partition("/")[0] for layer in read]

    assert order({"above": 2, "under": 5}) == ["under", "above"]
    assert order({"cell_10": 2, "cell_2": 2, "cell_1": 5}) == ["cell_1", "cell_2", "cell_10"]
    assert order({"cell_0": 2, "cell_1": 2, "stem_2": 5}) == ["stem_2", "cell_0", "cell_1"]
    with pytest.raises(UserError, match=r"names of above, under do not .*--map=above:recurrent/la"):
        order({"above": 2, "under": 2})


def test_layers_of_keras_are_in_the_order_of_the_file() -> None:
    """Files with names of the user's own state it."""
    arrays, inputs, said = network("keras", "gru")
    names = {"gru": "z/gru_cell", "gru_1": "a/gru_cell", "dense": "out"}
    held: dict[str, np.ndarray] = {}
    for key, array in arrays.items():
        _, layer, *_, at = key.split("/")
        kept = ("kernel", "bias") if layer == "dense" else ("kernel", "recurrent_kernel", "bias")
        held[f"{names[layer]}/{kept[int(at)]}:0"] = array
    layers = fitting.READERS["keras"](held)
    np.testing.assert_allclose(says(layers, inputs, None, held), said, rtol=0, atol=2e-6)


def tensorflow_lstm(kernel: Any, bias: Any, inputs: Any, forget_bias: float) -> Any:
    """The last h, as BasicLSTMCell computes it, in float64."""
    hidden = kernel.shape[1] // 4
    c = h = np.zeros((len(inputs), hidden))

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    for step in range(inputs.shape[1]):
        i, j, f, o = np.split(np.concatenate([inputs[:, step], h], 1) @ kernel + bias, 4, axis=1)
        c = c * sigmoid(f + forget_bias) + sigmoid(i) * np.tanh(j)
        h = np.tanh(c) * sigmoid(o)
    return h


@pytest.mark.parametrize("name", ["rnn/basic_lstm_cell", "a/b/rnn/multi_rnn_cell/cell_0/lstm_cell"])
def test_cells_of_tensorflow(rng: np.random.Generator, name: str) -> None:
    arrays = {
        f"{name}/kernel": rng.normal(size=(9, 20)),
        f"{name}/bias": rng.normal(size=20),
        "dense/kernel": rng.normal(size=(5, 3)),
        "dense/bias": rng.normal(size=3),
    }
    inputs = rng.random((2, 6, 4))
    hidden = tensorflow_lstm(*list(arrays.values())[:2], inputs, 1.0)
    logits = hidden @ arrays["dense/kernel"] + arrays["dense/bias"]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    others = {"global_step": np.int64(3), "beta1_power": np.float32(0.1)}
    others |= {f"{key}/Adam": array for key, array in arrays.items()}
    small = {key: np.float32(array) for key, array in (arrays | others).items()}
    layers = tensorflow_layers.read(small)
    names = tensorflow_layers.variables(small)
    assert sorted(names) == sorted(arrays)
    found = says(layers, np.float32(inputs), None, names)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def tensorflow_gru(gates: Any, bias: Any, candidate: Any, inputs: Any) -> Any:
    """The last h, as GRUCell and CudnnCompatibleGRUCell compute it, in float64."""
    h = np.zeros((len(inputs), 5))
    for step in range(inputs.shape[1]):
        x = inputs[:, step]
        r, u = np.split(1 / (1 + np.exp(-np.concatenate([x, h], 1) @ gates - bias)), 2, axis=1)
        if len(candidate) == 2:
            kernel, bias_of_c = candidate
            c = np.tanh(np.concatenate([x, r * h], 1) @ kernel + bias_of_c)
        else:
            of_input, input_bias, of_hidden, hidden_bias = candidate
            c = np.tanh(x @ of_input + input_bias + r * (h @ of_hidden + hidden_bias))
        h = u * h + (1 - u) * c
    return h


GRUS = {
    "gru_cell": {"kernel": (9, 5), "bias": (5,)},
    "cudnn_compatible_gru_cell": {
        "input_projection/kernel": (4, 5),
        "input_projection/bias": (5,),
        "hidden_projection/kernel": (5, 5),
        "hidden_projection/bias": (5,),
    },
}


@pytest.mark.parametrize("name", GRUS)
def test_gru_cells_of_tensorflow(rng: np.random.Generator, name: str) -> None:
    shapes = {"gates/kernel": (9, 10), "gates/bias": (10,)}
    shapes |= {f"candidate/{key}": shape for key, shape in GRUS[name].items()}
    arrays = {f"rnn/{name}/{key}": rng.normal(size=shape) for key, shape in shapes.items()}
    kernel, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
    inputs = rng.random((2, 6, 4))
    gates, gate_bias, *candidate = arrays.values()
    logits = tensorflow_gru(gates, gate_bias, candidate, inputs) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    arrays |= {"dense/kernel": kernel, "dense/bias": bias}
    small = {key: np.float32(array) for key, array in arrays.items()}
    layers = tensorflow_layers.read(small)
    assert layers.recurrent[0].cell == ("gru_reset_before" if name == "gru_cell" else "gru")
    found = says(layers, np.float32(inputs), None, small)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


REFUSED = [
    ("torch", "lstm", {"rnn.weight_hr_l0": (3, 5)}, "projections are not in our LSTM"),
    ("torch", "lstm", {"more.weight": (2, 2), "more.bias": (2,)}, "has 2 dense layers"),
    ("torch", "lstm", {"norm.running_mean": (4,)}, "norm.running_mean: the network of this config"),
    ("keras", "lstm", {"layers/dense_1/vars/0": (3, 3)}, "have a kernel and a bias|2 dense layers"),
    ("keras", "lstm", {"layers/bidirectional/forward_layer/cell/vars/1": (3, 12)}, "several kinds"),
    ("keras", "lstm", {"layers/norm/vars/3": (3,)}, "layers of ours hold kernel and bias"),
]


@pytest.mark.parametrize(("library", "name", "more", "message"), REFUSED)
def test_what_has_no_place_is_named(library: str, name: str, more: Any, message: str) -> None:
    arrays, inputs, _ = network(library, name)
    arrays |= {key: np.zeros(shape, np.float32) for key, shape in more.items()}
    with pytest.raises(UserError, match=message):
        says(fitting.READERS[library](arrays), inputs, None, arrays)


def test_values_that_are_not_finite_are_refused() -> None:
    arrays, inputs, _ = network("torch", "lstm")
    arrays["head.bias"][1] = np.nan
    with pytest.raises(UserError, match=r"head\.bias: it has values that are not finite"):
        says(torch_layers.read(arrays), inputs, None, arrays)
