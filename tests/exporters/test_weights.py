"""`--mode=export --format=torch|keras|safetensors`: what is in the files, and what is refused.

What PyTorch and Keras make of them is in `test_weight_code.py`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, safe_open

from seqvision import export
from seqvision.config.flags import WEIGHT_FORMATS
from seqvision.errors import UserError
from seqvision.exporters.weight_file import FILES, write_file
from seqvision.runs.imported import features_of
from seqvision.weights import fitting, own_layers, torch_layers
from seqvision.weights.source import open_source
from tests.exporters.weights import exported, parameters, random_run
from tests.web.runs import digit_reader

CELL = "recurrent/layer_0{}/cell/{}"
Z_R_N = [2, 3, 0, 1, 4, 5]
"""Columns of a GRU of two units, which hold r, z, n, in the order of Keras."""


def hdf5(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.float32, name
        np.testing.assert_array_equal(array, expected[name], err_msg=name, strict=True)


def gru_and_cnn(folder: Path) -> Any:
    """Maps of 3 x 3 x 4, from images of 5 x 6 x 2."""
    fields = {"sequence": "cnn", "cell": "gru", "cnn_channels": (4,), "bidirectional": True}
    return random_run(folder / "run", hidden_size=2, **fields)


def test_names_shapes_and_values_of_torch(tmp_path: Path, monkeypatch: Any) -> None:
    run = gru_and_cnn(tmp_path)
    folder, ours = exported(run, "torch", monkeypatch), parameters(run)
    expected = {
        "conv_0.weight": np.moveaxis(ours["sequence/cnn/block_0/conv/kernel"], (3, 2), (0, 1)),
        "conv_0.bias": ours["sequence/cnn/block_0/conv/bias"],
        "classifier.weight": ours["classifier/kernel"].T,
        "classifier.bias": ours["classifier/bias"],
    }
    for side, end in (("_forward", ""), ("_backward", "_reverse")):
        kernel, recurrent, bias, candidate = (
            ours[CELL.format(side, name)]
            for name in ("input_kernel", "recurrent_kernel", "bias", "candidate_bias")
        )
        # Of torch, feature 9 c + 3 y + x; of ours, 12 y + 4 x + c.
        rows = [12 * y + 4 * x + c for c in range(4) for y in range(3) for x in range(3)]
        expected |= {
            f"rnn.weight_ih_l0{end}": kernel[rows].T,
            f"rnn.weight_hh_l0{end}": recurrent.T,
            f"rnn.bias_ih_l0{end}": bias,
            f"rnn.bias_hh_l0{end}": np.float32([0, 0, 0, 0, *candidate]),
        }
    found = load_file(folder / "model.safetensors")
    same(found, expected)
    assert found["conv_0.weight"].shape == (4, 2, 3, 3)
    assert found["rnn.weight_ih_l0"].shape == (6, 36)
    with safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_names_shapes_and_values_of_keras(tmp_path: Path, monkeypatch: Any) -> None:
    run = gru_and_cnn(tmp_path)
    folder, ours = exported(run, "keras", monkeypatch), parameters(run)
    expected = {
        "layers/conv2d/vars/0": ours["sequence/cnn/block_0/conv/kernel"],
        "layers/conv2d/vars/1": ours["sequence/cnn/block_0/conv/bias"],
        "layers/dense/vars/0": ours["classifier/kernel"],
        "layers/dense/vars/1": ours["classifier/bias"],
    }
    for side in ("forward", "backward"):
        base = f"layers/bidirectional/{side}_layer/cell/vars"
        kernel, recurrent, bias, candidate = (
            ours[CELL.format(f"_{side}", name)]
            for name in ("input_kernel", "recurrent_kernel", "bias", "candidate_bias")
        )
        expected |= {
            f"{base}/0": kernel[:, Z_R_N],
            f"{base}/1": recurrent[:, Z_R_N],
            f"{base}/2": np.float32([bias[Z_R_N], [0, 0, 0, 0, *candidate]]),
        }
    found = hdf5(folder / "model.weights.h5")
    same(found, expected)
    assert found["layers/bidirectional/forward_layer/cell/vars/2"].shape == (2, 6)


def test_two_layers_of_lstm(tmp_path: Path, monkeypatch: Any) -> None:
    """Our gates are those of both, and our forget bias is in the bias as theirs."""
    run = random_run(tmp_path / "run", hidden_size=2, num_layers=2)
    ours = parameters(run)
    in_keras = {
        "layers/dense/vars/0": ours["classifier/kernel"],
        "layers/dense/vars/1": ours["classifier/bias"],
    }
    in_torch = {
        "classifier.weight": ours["classifier/kernel"].T,
        "classifier.bias": ours["classifier/bias"],
    }
    for layer, name in enumerate(("lstm", "lstm_1")):
        kernel, recurrent, bias = (
            ours[f"recurrent/layer_{layer}/cell/{part}"]
            for part in ("input_kernel", "recurrent_kernel", "bias")
        )
        held = (kernel, recurrent, bias)
        in_keras |= {f"layers/{name}/cell/vars/{at}": part for at, part in enumerate(held)}
        in_torch |= {
            f"rnn.weight_ih_l{layer}": kernel.T,
            f"rnn.weight_hh_l{layer}": recurrent.T,
            f"rnn.bias_ih_l{layer}": bias,
            f"rnn.bias_hh_l{layer}": np.zeros(8, np.float32),
        }
    same(hdf5(exported(run, "keras", monkeypatch) / "model.weights.h5"), in_keras)
    same(load_file(exported(run, "torch", monkeypatch) / "model.safetensors"), in_torch)


def test_our_own_names_and_the_folder(
    tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = random_run(tmp_path / "run", hidden_size=3, compute_dtype="bfloat16")
    folder = exported(run, "safetensors", monkeypatch)
    assert "trained in bfloat16; the code of the card is in float32" in capsys.readouterr().out
    same(load_file(folder / "model.safetensors"), parameters(run))
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors", "README.md", "network.json", "config.json",
    }  # fmt: skip
    facts = json.loads((folder / "network.json").read_text())
    assert facts["inputs"]["shape"] == [5, 6, 2] and facts["classes"] == list("0123456789")
    assert "steps" not in facts and "memory" not in facts  # No file here keeps one.
    card = (folder / "README.md").read_text()
    assert "| `recurrent/layer_0/cell/input_kernel` | 12 x 12 |" in card
    assert "the quarters are the gates i, f, g, o" in card
    assert "Of the training (`status.json`), test: accuracy 0.75." in card


GRID = [
    {"cell": cell, "num_layers": layers, "bidirectional": both}
    for cell in ("lstm", "gru", "gru_reset_before")
    for layers in (1, 2)
    for both in (False, True)
]
CNN = {"sequence": "cnn", "cnn_channels": (2, 3)}
GRID += [CNN, CNN | {"cell": "gru", "cnn_padding": "valid"}]


@pytest.mark.parametrize("fields", GRID, ids=str)
def test_there_and_back_are_the_same_bits(tmp_path: Path, fields: dict[str, Any]) -> None:
    shape = (11, 13, 2)
    run = random_run(tmp_path / "run", shape, hidden_size=3, **fields)
    ours = parameters(run)
    for name, array in ours.items():
        if name.endswith("bias"):  # To which 0 would be added.
            array[0] = -0.0
    features = features_of(own_layers.read(ours), shape)
    for form in WEIGHT_FORMATS:
        if form == "torch" and fields.get("cell") == "gru_reset_before":
            continue
        path = tmp_path / f"{form}-{FILES[form]}"
        write_file(path, form, ours, features)
        source = open_source(path)
        assert source.kind == {"safetensors": "seqvision"}.get(form, form)
        layers = fitting.READERS[source.kind]({key: source.arrays[key] for key in source.arrays})
        returned = own_layers.write(layers, features)
        assert returned.keys() == ours.keys()
        for name, part in returned.items():
            assert part.array.tobytes() == ours[name].tobytes(), (form, name)
            assert part.array.shape == ours[name].shape


def test_a_file_that_gives_other_bits_is_an_error_and_nothing_is_written(
    tmp_path: Path, monkeypatch: Any
) -> None:
    run, write = random_run(tmp_path / "run"), torch_layers.write

    def wrong(*arguments: Any) -> dict[str, np.ndarray]:
        arrays = write(*arguments)
        bias = arrays["rnn.bias_ih_l0"].copy()
        bias[5] = np.nextafter(bias[5], np.float32(9))
        return arrays | {"rnn.bias_ih_l0": bias}

    monkeypatch.setattr(torch_layers, "write", wrong)
    with pytest.raises(UserError, match=r"^model.safetensors: .* recurrent/layer_0/cell/bias is n"):
        exported(run, "torch", monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("form", WEIGHT_FORMATS)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"sequence": "cnn_rows"},
            "config.model.sequence of this run is cnn_rows, and the .* rows",
        ),
        ({"cell": "janet"}, "config.model.cell of this run is janet, and the format takes lstm, g"),
        ({"refine_gates": True}, "config.model.refine_gates of this run is True, .* takes False"),
        ({"readout": "attention"}, "readout of this run is attention, .* takes last, mean, max"),
        ({"readout": "per_step"}, "readout of this run is per_step"),
    ],
    ids=str,
)
def test_what_others_have_not_is_named(
    tmp_path: Path, monkeypatch: Any, form: str, fields: dict[str, Any], message: str
) -> None:
    run = random_run(tmp_path / "run", (8, 8, 1), **fields)
    with pytest.raises(UserError, match=f"^--format={form}: .*{message}.*; choose onnx"):
        exported(run, form, monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_torch_has_one_of_the_grus(tmp_path: Path, monkeypatch: Any) -> None:
    run = random_run(tmp_path / "run", cell="gru_reset_before")
    with pytest.raises(UserError, match=r"cell of this run is gru_reset_before.* lstm, gru; "):
        exported(run, "torch", monkeypatch)


def test_readers_and_what_is_missing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "load_run", lambda *_: digit_reader())
    with pytest.raises(UserError, match=r"^--format=keras: this run reads lines of writing"):
        export.export_weights(tmp_path, str(tmp_path / "out"), "keras")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"h5py is not installed; .* 'seqvision\[import\]'"):
        export.export_weights(tmp_path, str(tmp_path / "out"), "torch")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": "troch"},
            "--format: 'troch' is not known; .* safetensors; did you mean 'torch'",
        ),
        ({"check": "said.npz"}, "--check: 'said.npz' is not known; .* choose true or false"),
        ({"onnxruntime_web": "x"}, "--onnxruntime_web: it has no effect without --format=page"),
        ({}, "config.data.path: it has no effect with --format=torch, which reads no data"),
    ],
)
def test_flags_without_sense(
    tmp_path: Path, monkeypatch: Any, change: dict[str, str], message: str
) -> None:
    given = {"data.path": "mine.npz"}
    monkeypatch.setattr(export.command_line, "config_overrides", lambda: given)
    settings = random_run(tmp_path / "run").settings
    usual = {"format": "torch", "check": "true", "onnxruntime_web": ""}
    with pytest.raises(UserError, match=message):
        export.run(settings, tmp_path, "out", "test", None, int8=True, **usual | change)
