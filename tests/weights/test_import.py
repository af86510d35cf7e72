"""Runs from weights of TensorFlow: they say what the program said, and Adam goes on from its slots.

The checkpoints in tests/data/estimator were written by the original programs in TensorFlow 1.15.5;
`said.npz` holds inputs, and the probabilities that they gave.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqvision.models import create_model
from seqvision.models.parameters import named_leaves
from seqvision.runs.imported import with_weights
from seqvision.training.optimizer import create_optimizer
from seqvision.training.state import make_init
from seqvision.weights import tensorflow_layers
from seqvision.weights.source import Source
from seqvision.weights.stored_arrays import StoredArray, StoredArrays

ESTIMATOR = Path(__file__).parents[1] / "data/estimator"


def source_with_slots(rng: np.random.Generator, updates: int, beta2: float) -> Source:
    shapes = {
        "rnn/lstm_cell/kernel": (4 + 3, 12),
        "rnn/lstm_cell/bias": (12,),
        "dense/kernel": (3, 2),
        "dense/bias": (2,),
    }
    arrays: dict[str, Any] = {}
    for name, shape in shapes.items():
        arrays[name] = np.float32(rng.normal(size=shape))
        arrays[f"{name}/Adam"] = np.float32(0.1 * rng.normal(size=shape))
        arrays[f"{name}/Adam_1"] = np.float32(0.01 * rng.random(shape))
    arrays["beta1_power"] = np.array(0.9 ** (updates + 1), np.float32)
    arrays["beta2_power"] = np.array(beta2 ** (updates + 1), np.float32)
    stored = {
        name: StoredArray(array.shape, array.dtype, lambda array=array: array)
        for name, array in arrays.items()
    }
    return Source("tensorflow", StoredArrays(stored))


@pytest.mark.parametrize("updates", [0, 7, 1875])
def test_adam_goes_on_from_its_slots(rng: np.random.Generator, updates: int) -> None:
    """The next step is that of Kingma & Ba (2015, algorithm 1), in float64."""
    source = source_with_slots(rng, updates, 0.999)
    layers = tensorflow_layers.read(source.arrays)
    model = create_model(num_classes=2, sequence="rows", hidden_size=3, execution="scan")
    optimizer = create_optimizer("adam", 0.01)
    init = make_init(model, optimizer, (5, 4, 1), {}, use_ema=True)
    state, lines = with_weights(init(0), source, layers, (5, 4, 1))
    assert lines[-1] == f"Adam goes on from its slots, after {updates} updates"
    gradient = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), state.params
    )
    change, _ = optimizer.update(gradient, state.opt_state, state.params)
    found = dict(named_leaves(change))

    def moved(slot: str) -> dict[str, np.ndarray]:
        """The slot in our names and order: gates i, j, f, o to i, f, j, o, and rows apart."""
        kernel, bias = (source.arrays[f"rnn/lstm_cell/{name}/{slot}"] for name in ("kernel", "bias"))
        order = np.r_[0:3, 6:9, 3:6, 9:12]
        return {
            "recurrent/layer_0/cell/input_kernel": kernel[:4, order],
            "recurrent/layer_0/cell/recurrent_kernel": kernel[4:, order],
            "recurrent/layer_0/cell/bias": bias[order],
            "classifier/kernel": source.arrays[f"dense/kernel/{slot}"],
            "classifier/bias": source.arrays[f"dense/bias/{slot}"],
        }

    mean, square = moved("Adam"), moved("Adam_1")
    for name, leaf in named_leaves(gradient):
        g = np.float64(leaf)
        m = 0.9 * np.float64(mean[name]) + 0.1 * g
        v = 0.999 * np.float64(square[name]) + 0.001 * g**2
        step = updates + 1
        expected = -0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(found[name], expected, rtol=2e-4)
    jax.tree.map(np.testing.assert_array_equal, state.params, state.ema_params)


def test_another_optimizer_starts_anew(rng: np.random.Generator) -> None:
    source = source_with_slots(rng, 3, 0.999)
    layers = tensorflow_layers.read(source.arrays)
    model = create_model(num_classes=2, sequence="rows", hidden_size=3, execution="scan")
    init = make_init(model, optax.sgd(0.1), (5, 4, 1), {}, use_ema=False)
    _, lines = with_weights(init(0), source, layers, (5, 4, 1))
    assert lines[-1].startswith("the slots of Adam are not used")
