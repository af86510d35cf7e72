"""Layers of other libraries that have no bias, that differ, or that fit no network of ours."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.errors import UserError
from seqvision.weights import fitting, flax_layers, own_layers, tensorflow_layers, torch_layers
from seqvision.weights.layers import check_is_alike
from tests.weights.test_layers import network, ours

WITHOUT_BIAS = {
    "torch": ("lstm", "gru_stack", "lstm_stack", "cnn_lstm"),
    "keras": ("lstm", "lstm_both", "cnn_lstm"),
}


@pytest.mark.parametrize(
    ("library", "name"), [(k, n) for k in WITHOUT_BIAS for n in WITHOUT_BIAS[k]]
)
def test_layers_without_a_bias_are_those_whose_bias_is_zero(library: str, name: str) -> None:
    arrays, *_ = network(library, name)
    biases = [key for key in arrays if is_bias(library, key)]
    kept = {key: array for key, array in arrays.items() if key not in biases}
    zeros = {key: np.zeros_like(arrays[key]) for key in biases}
    read = fitting.READERS[library]
    features = (2, 2, 3) if library == "keras" else (3, 3, 3)
    found = own_layers.write(read(kept), features if name == "cnn_lstm" else None)
    expected = own_layers.write(read(arrays | zeros), features if name == "cnn_lstm" else None)
    assert len(biases) >= 2
    assert found.keys() == expected.keys()
    for key, part in found.items():
        np.testing.assert_array_equal(part.array, expected[key].array)
        assert part.array.dtype == expected[key].array.dtype
        assert set(part.sources) <= kept.keys()


def is_bias(library: str, name: str) -> bool:
    """Keras numbers what a layer holds: kernel, recurrent kernel of a cell, bias."""
    if library == "torch":
        return "bias" in name
    return name.endswith("cell/vars/2") or (name.endswith("/vars/1") and "cell" not in name)


def test_a_dense_layer_of_tensorflow_and_of_flax_without_a_bias(rng: np.random.Generator) -> None:
    kernel = np.float32(rng.normal(size=(5, 3)))
    cell = {"rnn/lstm_cell/kernel": np.ones((9, 20)), "rnn/lstm_cell/bias": np.ones(20)}
    found = tensorflow_layers.read(cell | {"dense/kernel": kernel}).classifier
    gates = {f"cell/{side}{gate}/kernel": np.ones((5, 5)) for side in "ih" for gate in "ifgo"}
    biases = {f"cell/h{gate}/bias": np.ones(5) for gate in "ifgo"}
    same = flax_layers.read(gates | biases | {"Dense_0/kernel": kernel}).classifier
    for parts in (found, same):
        np.testing.assert_array_equal(parts["bias"].array, np.zeros(3, np.float32))
        np.testing.assert_array_equal(parts["kernel"].array, kernel)
    assert found["bias"].origin == "0: dense/kernel has no bias"


def test_half_of_a_bias_is_refused() -> None:
    arrays, *_ = network("torch", "lstm")
    del arrays["rnn.bias_hh_l0"]
    with pytest.raises(UserError, match=r"rnn\.weight_ih_l0: of this layer bias_hh is missing"):
        torch_layers.read(arrays)
    arrays, *_ = network("keras", "gru")
    del arrays["layers/gru/cell/vars/2"]
    with pytest.raises(UserError, match=r"layers/gru/cell/vars/0: a GRU with use_bias=False"):
        fitting.READERS["keras"](arrays)
    with pytest.raises(UserError, match=r"of this LSTM the bias is missing"):
        tensorflow_layers.read(
            {"rnn/lstm_cell/kernel": np.ones((9, 20)), "dense/kernel": np.ones((5, 3))}
        )


def test_layers_that_differ_are_refused() -> None:
    arrays, *_ = network("torch", "lstm")
    hidden = arrays["rnn.weight_hh_l0"].shape[1]
    small = {"weight_ih": (8, hidden), "weight_hh": (8, 2), "bias_ih": (8,), "bias_hh": (8,)}
    arrays |= {f"rnn.{key}_l1": np.zeros(shape, np.float32) for key, shape in small.items()}
    with pytest.raises(UserError, match=rf"have units {hidden}, 2, from the first on"):
        check_is_alike(torch_layers.read(arrays).recurrent)


MISFITS = [
    ("classifier/kernel", (5, 7), r"head\.weight: transposed: 3 classes, and the data .* have 7"),
    ("recurrent/layer_0/cell/input_kernel", (9, 20), r"reads 4 numbers a step, .* config has 9;"),
    ("recurrent/layer_0/cell/bias", (24,), r"shape \(20,\), and recurrent/layer_0/cell/bias has"),
]


@pytest.mark.parametrize(("name", "shape", "message"), MISFITS)
def test_another_shape_says_what_to_choose(name: str, shape: Any, message: str) -> None:
    arrays, inputs, _ = network("torch", "lstm")
    layers = torch_layers.read(arrays)
    _, shapes = ours(layers, jnp.asarray(inputs[..., None]))
    with pytest.raises(UserError, match=message):
        fitting.fit(layers, shapes | {name: shape}, arrays)
