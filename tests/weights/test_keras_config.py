"""Configs of Keras models: layers that compute something else than ours are refused."""

from pathlib import Path
from typing import Any

import pytest

from seqvision.errors import UserError
from seqvision.runs.imported import layers_of
from seqvision.weights import keras_config
from seqvision.weights.source import Source, open_source
from seqvision.weights.stored_arrays import StoredArrays

WEIGHTS = Path("tests/data/weights")


@pytest.mark.parametrize("name", ["model.keras", "legacy.h5"])
def test_what_keras_wrote_is_as_ours(name: str) -> None:
    config = open_source(WEIGHTS / name).facts["config"]
    keras_config.check(config)
    kinds = [kind for kind, _ in keras_config._layers(config)]
    assert {"LSTM", "GRU", "Bidirectional", "Dense"} <= set(kinds)


def layer(kind: str, **fields: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "mine", **fields}}


OTHERS = [
    (layer("GRU", recurrent_activation="hard_sigmoid"), "recurrent_activation hard_sigmoid, and"),
    (layer("LSTM", activation="relu"), r"mine \(LSTM\) has activation relu, and ours tanh"),
    (layer("LSTM", activation={"class_name": "function", "config": "relu"}), "activation relu"),
    (layer("LSTM", go_backwards=True), "go_backwards True, and ours False"),
    (layer("Bidirectional", merge_mode="sum"), "merge_mode sum"),
    (layer("Bidirectional", layer=layer("LSTM", activation="selu")), "activation selu"),
    (layer("Conv2D", strides=[2, 2]), r"strides \[2, 2\], and ours \[1, 1\]"),
    (layer("Dense", activation="sigmoid"), "activation sigmoid, and ours softmax or linear"),
]


@pytest.mark.parametrize(("found", "message"), OTHERS)
def test_other_layers_are_named(found: dict[str, Any], message: str) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [layer("InputLayer"), found]}}
    source = Source("keras", StoredArrays({}), {"config": config})
    with pytest.raises(UserError, match=f"^model: .*{message}.*; no weights make them equal"):
        layers_of(Path("model"), source)


def test_the_backward_layer_of_both_goes_backwards() -> None:
    backward = layer("LSTM", go_backwards=True)
    keras_config.check(layer("Bidirectional", layer=layer("LSTM"), backward_layer=backward))
