"""Keras files: what Keras 3.15.0 saved, and HDF5 files that Keras would not write."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from seqvision.errors import UserError
from seqvision.weights import keras_file
from seqvision.weights.hdf5_walk import walk
from seqvision.weights.source import open_source
from tests.data.weights.make_fixtures import values
from tests.weights.refusing import refusal

WEIGHTS = Path("tests/data/weights")
# Inputs 3, 2 units in each direction, then 2 units. Gates: 4 of an LSTM, 3 of a GRU.
PATHS = {
    "both/forward_lstm/lstm_cell/kernel": (3, 8),
    "both/forward_lstm/lstm_cell/recurrent_kernel": (2, 8),
    "both/forward_lstm/lstm_cell/bias": (8,),
    "both/backward_lstm/lstm_cell/kernel": (3, 8),
    "both/backward_lstm/lstm_cell/recurrent_kernel": (2, 8),
    "both/backward_lstm/lstm_cell/bias": (8,),
    "gru/gru_cell/kernel": (4, 6),
    "gru/gru_cell/recurrent_kernel": (2, 6),
    "gru/gru_cell/bias": (2, 6),
    "out/kernel": (2, 2),
    "out/bias": (2,),
}
PLACES = {
    "layers/bidirectional/forward_layer/cell": "both/forward_lstm/lstm_cell",
    "layers/bidirectional/backward_layer/cell": "both/backward_lstm/lstm_cell",
    "layers/gru/cell": "gru/gru_cell",
    "layers/dense": "out",
}


def test_a_whole_model_of_keras_2_in_the_order_that_it_states() -> None:
    source = open_source(WEIGHTS / "legacy.h5")
    assert source.kind == "keras"
    assert source.facts["config"]["class_name"] == "Sequential"
    names = [f"model_weights/{path.split('/')[0]}/sequential/{path}" for path in PATHS]
    assert list(source.arrays) == names
    for name, (path, shape) in zip(names, PATHS.items(), strict=True):
        assert source.arrays.shape(name) == shape
        np.testing.assert_array_equal(source.arrays[name], values(f"sequential/{path}", shape))


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_keras_3(name: str) -> None:
    source = open_source(WEIGHTS / name)
    assert source.kind == "keras"
    assert source.facts["layers"]["layers/bidirectional/vars"] == "both"
    assert source.facts["layers"]["layers/dense/vars"] == "out"
    found = dict(source.arrays.items())
    for place, path in PLACES.items():
        weights = [p for p in PATHS if p.rpartition("/")[0] == path]
        for position, weight in enumerate(weights):
            expected = values(f"sequential/{weight}", PATHS[weight])
            np.testing.assert_array_equal(found.pop(f"{place}/vars/{position}"), expected)
    assert not found
    if name == "model.keras":
        layers = source.facts["config"]["config"]["layers"]
        assert [layer["config"]["name"] for layer in layers][1:] == ["both", "gru", "out"]
    else:
        assert "config" not in source.facts


def test_positions_are_in_order_of_number_and_texts_skipped(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        for number in range(12):
            file[f"vars/{number}"] = np.full(2, number, ">f4")
        file["note"] = "text"
    source = open_source(path)
    assert list(source.arrays) == [f"vars/{number}" for number in range(12)]
    assert [array[0] for _, array in source.arrays.items()] == list(range(12))
    assert source.skipped == {"note": "object"}


def test_names_of_tensorflow_s_keras_2(tmp_path: Path) -> None:
    """Weights alone: the order of layers and weights is in bytes, and names end in `:0`."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"lstm", b"flatten", b"dense"]
        for layer, names in (("lstm", ["kernel", "bias"]), ("flatten", []), ("dense", ["kernel"])):
            group = file.create_group(layer)
            weights = [f"{layer}/{name}:0" for name in names]
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for weight in weights:
                group[weight] = values(weight, (2,))
    arrays = open_source(tmp_path / "w.h5").arrays
    expected = ["lstm/lstm/kernel:0", "lstm/lstm/bias:0", "dense/dense/kernel:0"]
    assert list(arrays) == expected
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, values(name.split("/", 1)[1], (2,)))


def external_link(file: h5py.File) -> None:
    file["w"] = h5py.ExternalLink("other.h5", "/w")


def soft_link(file: h5py.File) -> None:
    file["w"] = h5py.SoftLink("/v")


def external_data(file: h5py.File) -> None:
    file.create_dataset("w", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "w", (4,))
    file.create_virtual_dataset("w", layout)


def compressed(file: h5py.File) -> None:
    file.create_dataset("w", data=np.zeros(10**6, np.float32), compression="gzip")


def chunked(file: h5py.File) -> None:
    file.create_dataset("w", (2**40,), "f4", chunks=(1024,))


def contiguous(file: h5py.File) -> None:
    file.create_dataset("w", (2**40,), "f4")


def in_itself(file: h5py.File) -> None:
    file.create_group("a")
    file["a/b"] = file["a"]


def no_json(file: h5py.File) -> None:
    file.attrs["model_config"] = "{'a'"


def deep_json(file: h5py.File) -> None:
    file.attrs["model_config"] = "[" * 30_000


def other_json(file: h5py.File) -> None:
    file.attrs["model_config"] = "[]"


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (external_link, "w is a link, perhaps to another file; save the model again"),
        (soft_link, "w is a link"),
        (external_data, "w is stored in other files"),
        (virtual, "w is stored in other files"),
        (compressed, "w is stored compressed, which Keras never does"),
        (chunked, "w is stored in chunks"),
        (contiguous, "w: 4398046511104 bytes"),
        (in_itself, "the group a/b/ is in the file twice"),
    ],
)
def test_what_keras_does_not_write(
    write: Callable[[h5py.File], None], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        write(file)
    with pytest.raises(UserError) as caught:
        walk(path, 0, path.stat().st_size)  # In this process, which takes less time.
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (soft_link, "w is a link"),
        (no_json, "it is damaged"),
        (deep_json, "recursion"),
        (other_json, "no JSON object"),
    ],
)
def test_what_the_other_process_says(
    write: Callable[[h5py.File], None], problem: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write(file)
    assert problem in refusal(tmp_path / "w.h5")


def test_a_crash_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_file, "_WALK", "tests.weights.crashing")
    assert refusal(WEIGHTS / "legacy.h5").endswith(
        "the HDF5 library cannot read it; it is damaged or incomplete: copy or save it again"
    )


def test_a_compressed_keras_file(tmp_path: Path) -> None:
    path = tmp_path / "w.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps({}) + " " * 50_000_000)
        file.writestr("model.weights.h5", b"")
    assert "config.json in it is compressed" in refusal(path)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(name: str) -> str:
        return refusal(WEIGHTS / name)

    blocked: dict[str, Any] = {"h5py": None, "safetensors": None}
    for name, module in blocked.items():
        monkeypatch.setitem(sys.modules, name, module)
    for name, library in (("legacy.h5", "h5py"), ("lstm.safetensors", "safetensors")):
        line = says(name)
        assert library in line
        assert "pip install 'seqvision[import]' (in a clone" in line
