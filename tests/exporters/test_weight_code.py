"""The code of the cards, run as it stands in PyTorch and Keras, says what seqvision says.

Keras takes the backend that KERAS_BACKEND names.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.exporters.weights import code, exported, probabilities, random_run

NETWORKS = [
    {"cell": "lstm", "num_layers": 2, "bidirectional": True, "readout": "max"},
    {"cell": "gru", "num_layers": 2, "bidirectional": True},
    {"cell": "gru", "readout": "mean", "sequence": "columns"},
    {"sequence": "pixels", "cell": "gru"},
    {"cell": "gru_reset_before", "num_layers": 2, "bidirectional": True},
    {"sequence": "permuted_pixels"},
    {"sequence": "patches", "patch_size": 3},
    {"sequence": "cnn", "cnn_channels": (4,), "cell": "gru"},
    {"sequence": "cnn", "cnn_channels": (2, 3), "cnn_padding": "valid", "bidirectional": True},
]


@pytest.mark.parametrize("fields", NETWORKS, ids=str)
@pytest.mark.filterwarnings("ignore")  # Of the libraries.
@pytest.mark.parametrize("form", ["torch", "keras"])
def test_the_card(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: Any, form: str, fields: dict[str, Any]
) -> None:
    pytest.importorskip(form)
    if form == "torch" and fields.get("cell") == "gru_reset_before":
        pytest.skip("nn.GRU has only the other form")
    shape = (12, 15, 2)
    run = random_run(tmp_path / "run", shape, hidden_size=5, **fields)
    folder = exported(run, form, monkeypatch)
    inputs = rng.integers(0, 256, (4, *shape), np.uint8)
    zeros = "inputs = np.zeros((1, 12, 15, 2), np.uint8)"
    text = code(folder)
    assert text.count(zeros) == 1
    names: dict[str, Any] = {"mine": inputs}
    monkeypatch.chdir(folder)
    with jax.numpy_rank_promotion("allow"):  # Keras on JAX needs it.
        exec(text.replace(zeros, "inputs = mine"), names)
    expected = probabilities(run, inputs)
    np.testing.assert_allclose(names["probabilities"], expected, rtol=0, atol=1e-6)
    assert names["answer"] == str(expected[0].argmax())
