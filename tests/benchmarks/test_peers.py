"""Peers: the recipe, the start and the data of ours."""

import dataclasses
from pathlib import Path

import numpy as np
import optax
import pytest

from benchmarks.accuracy.mnist_files import read_split
from benchmarks.accuracy.recipe import Recipe, parse_recipe
from benchmarks.accuracy.start import gate_biases, recurrent_kernels
from benchmarks.speed.shared_recipe import recipe_of
from seqvision.data.sources.idx import read_idx
from seqvision.training.optimizer import create_schedule


def test_peers_follow_our_schedule() -> None:
    recipe, left_out = recipe_of("configs/row_lstm.py")
    assert (recipe.peak, recipe.batch_size, recipe.train_examples) == (8e-3, 256, 55000)
    assert recipe.total_steps == 1719
    assert left_out == {"augment.max_shift": 2.0, "augment.max_rotation": 10.0}
    assert (recipe.gate_init, recipe.forget_bias) == ("constant", 1.0)
    small = dataclasses.replace(recipe, total_steps=50, warmup_steps=15)
    rates = small.learning_rates()
    schedule: optax.Schedule = create_schedule(
        "one_cycle", small.peak, 50, 15, small.start_fraction, small.final_fraction
    )
    assert rates == pytest.approx([float(schedule(step)) for step in range(50)], rel=1e-4)


def test_peers_read_the_command_line_they_are_given() -> None:
    recipe = Recipe(recipe="ours", seed=3, peak=0.02, clip_norm=1.0, gate_init="chrono")
    assert parse_recipe("", recipe.arguments()) == recipe


def test_peers_start_as_ours() -> None:
    recipe, left_out = recipe_of("configs/row_lstm.py:fast")
    assert recipe.gate_init == "chrono" and left_out == {}
    uniform, left_out = recipe_of("configs/pixel_lstm.py")
    assert uniform.gate_init == "constant" and left_out["model.gate_init"] == "uniform"
    size = recipe.hidden_size
    kernels = recurrent_kernels(size, seed=3)
    assert kernels.shape == (4, size, size) and (kernels != recurrent_kernels(size, 4)).any()
    for kernel in kernels:
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(size), atol=1e-5)
    biases = gate_biases("chrono", 1.0, size, seed=3)
    assert biases.shape == (4, size) and (biases[0] == -biases[1]).all() and not biases[2:].any()
    # exp(b) is uniform between 1 and T - 1 = 27.
    draws = np.sort(np.exp(gate_biases("chrono", 1.0, 4000, seed=3)[1]))
    np.testing.assert_allclose(draws, np.linspace(1, 27, 4000), atol=1)
    assert gate_biases("constant", 2.0, 2, seed=3).tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


def test_torch_starts_as_ours() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.accuracy.torch_mnist import start_as_ours
    from benchmarks.speed.contenders.torch_steps import LSTMClassifier

    recipe = Recipe(recipe="ours", hidden_size=8, gate_init="chrono")
    lstm = LSTMClassifier(28, 8, batch_first=True).lstm
    start_as_ours(lstm, recipe)
    # With no input and no memory a gate is its biases; the product is of each gate's own kernel.
    hidden = torch.ones(8)
    gates = lstm.bias_ih_l0 + lstm.bias_hh_l0 + lstm.weight_hh_l0 @ hidden
    expected = gate_biases("chrono", 1.0, 8, 0) + recurrent_kernels(8, 0) @ np.ones(8, np.float32)
    np.testing.assert_allclose(gates.detach().numpy(), expected.ravel(), atol=1e-5)


def test_keras_starts_as_ours() -> None:
    pytest.importorskip("keras")
    from benchmarks.accuracy.keras_mnist import create_model, keras, start_as_ours

    recipe = Recipe(recipe="ours", hidden_size=8, gate_init="chrono")
    lstm = create_model(recipe, keras.optimizers.Adam()).layers[0]
    start_as_ours(lstm, recipe)
    _, kernel, bias = lstm.get_weights()
    np.testing.assert_allclose(bias.reshape(4, 8), gate_biases("chrono", 1.0, 8, 0))
    np.testing.assert_allclose(kernel.reshape(8, 4, 8).swapaxes(0, 1), recurrent_kernels(8, 0))


def test_peers_read_mnist() -> None:
    images, labels = read_split("test")
    folder = Path("seqvision/data/mnist")
    assert (images * 255 == read_idx(folder / "t10k-images-idx3-ubyte.gz")).all()
    assert (labels == read_idx(folder / "t10k-labels-idx1-ubyte.gz")).all()
