"""Checkpoints of real Estimators: names, shapes and values."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from seqvision.weights.source import Source, open_source
from seqvision.weights.tensorflow.entries import parse_entry
from seqvision.weights.tensorflow.table_file import read_table
from tests.data.weights.make_fixtures import values

ESTIMATORS = Path("tests/data/estimator")
WEIGHTS = Path("tests/data/weights")


def with_slots(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """With Adam's two averages of each array, and the powers of its decay rates."""
    slots = {f"{n}/{slot}": shape for n, shape in shapes.items() for slot in ("Adam", "Adam_1")}
    return shapes | slots | {"beta1_power": (), "beta2_power": ()}


def cnn(conv: str, next_conv: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{conv}/kernel": (3, 3, channels, 32),
        f"{conv}/bias": (32,),
        f"{next_conv}/kernel": (3, 3, 32, 64),
        f"{next_conv}/bias": (64,),
    }


def lstm(cell: str, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    return {
        f"rnn/{cell}/kernel": (inputs + hidden, 4 * hidden),
        f"rnn/{cell}/bias": (4 * hidden,),
        "dense/kernel": (hidden, 10),
        "dense/bias": (10,),
    }


FRAMES = ["conv2d", *(f"conv2d_{number}" for number in range(1, 10))]
PROGRAMS = {
    "row_lstm": lstm("lstm_cell", 28, 64),
    "book": lstm("basic_lstm_cell", 28, 128),
    "cnn_lstm": lstm("lstm_cell", 1600, 8) | cnn("conv2d", "conv2d_1", 3),
    "frame_lstm": lstm("lstm_cell", 1600, 8)
    | {
        name: shape
        for first, second in zip(FRAMES[::2], FRAMES[1::2], strict=True)
        for name, shape in cnn(first, second, 1).items()
    },
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_names_and_shapes_in_the_index(program: str) -> None:
    [index] = (ESTIMATORS / program).glob("*.index")
    entries = {k.decode(): parse_entry(v) for k, v in read_table(index).items() if k}
    expected = with_slots(PROGRAMS[program])
    if program != "book":
        expected["global_step"] = ()
    assert {name: entry.shape for name, entry in entries.items()} == expected
    assert list(entries) == sorted(expected)
    types = {name: entry.type_name for name, entry in entries.items()}
    assert types == {n: "int64" if n == "global_step" else "float32" for n in expected}


@pytest.mark.parametrize(
    "name", ["", "checkpoint", "model.ckpt-1875", "model.ckpt-1875.index",
             "model.ckpt-1875.data-00000-of-00001"],
)  # fmt: skip
def test_a_model_directory_by_each_of_its_names(name: str) -> None:
    source = open_source(ESTIMATORS / "row_lstm" / name)
    assert source.kind == "tensorflow"
    assert source.arrays["global_step"] == 1875
    for array, shape in PROGRAMS["row_lstm"].items():
        assert source.arrays.shape(array) == source.arrays[array].shape == shape
        assert source.arrays.dtype(array) == source.arrays[array].dtype == np.float32


def test_the_decay_rates_of_adam_after_so_many_steps() -> None:
    arrays = open_source(ESTIMATORS / "row_lstm").arrays
    # The powers begin with the rates themselves.
    np.testing.assert_allclose(arrays["beta2_power"], 0.999**1876, rtol=1e-4)
    assert 0 <= arrays["beta1_power"] < 1e-30
    assert (arrays["dense/kernel/Adam_1"] >= 0).all()


@pytest.mark.parametrize(
    ("program", "cell"), [("row_lstm", "lstm_cell"), ("book_weights", "basic_lstm_cell")]
)
def test_the_arrays_say_what_the_program_said(program: str, cell: str) -> None:
    arrays = open_source(ESTIMATORS / program).arrays
    said = np.load(ESTIMATORS / program.removesuffix("_weights") / "said.npz")
    probabilities = probabilities_of(arrays, cell, said["inputs"])
    np.testing.assert_allclose(probabilities, said["probabilities"], atol=1e-5)


def probabilities_of(arrays, cell: str, inputs: np.ndarray) -> np.ndarray:
    """An LSTM with gates i, j, f, o and a forget bias of 1, in float64: (N, 28, 28) to (N, 10)."""
    kernel, bias = (arrays[f"rnn/{cell}/{n}"].astype(float) for n in ("kernel", "bias"))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    rows = inputs.reshape(len(inputs), 28, 28).astype(float)
    c = h = np.zeros((len(rows), len(bias) // 4))
    for step in range(28):
        gates = np.concatenate([rows[:, step], h], axis=1) @ kernel + bias
        i, j, f, o = np.split(gates, 4, axis=1)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
        h = sigmoid(o) * np.tanh(c)
    logits = np.exp(h @ arrays["dense/kernel"].astype(float) + arrays["dense/bias"])
    return logits / logits.sum(axis=1, keepdims=True)


def read(source: Source) -> dict[str, np.ndarray]:
    return dict(source.arrays.items())


def test_partitioned_arrays_and_other_types() -> None:
    source = open_source(WEIGHTS / "partitioned")
    assert source.skipped == {"label": "text"}
    expected = {"columns": (2, 200), "half": (5,), "rows": (7, 3)}
    found = read(source)
    assert list(found) == ["columns", "flag", "half", "rows"]
    for name, shape in expected.items():
        assert source.arrays.shape(name) == shape
        np.testing.assert_array_equal(found[name], values(name, shape))
    assert found["flag"].dtype == bool
    assert found["flag"].tolist() == [True, False]


def test_many_arrays_in_one_block() -> None:
    found = read(open_source(WEIGHTS / "many"))
    names = [f"layer_{number}/a_rather_long_name_of_a_kernel" for number in range(150)]
    assert list(found) == sorted(names)
    for name in names:
        np.testing.assert_array_equal(found[name], values(name, (2,)))


def test_two_data_files_and_objects_of_tensorflow_2() -> None:
    found = read(open_source(WEIGHTS / "shards"))
    for name in ("w0", "w1"):
        np.testing.assert_array_equal(found[name], values(name, (3,)))
    source = open_source(WEIGHTS / "objects" / "ckpt")
    np.testing.assert_array_equal(
        source.arrays["w/.ATTRIBUTES/VARIABLE_VALUE"], values("w", (2, 3))
    )
    assert source.skipped == {"_CHECKPOINTABLE_OBJECT_GRAPH": "text"}


@pytest.mark.parametrize(
    "named",
    ["model.ckpt-1875", "/gone/model.ckpt-1875", "C:\\\\\\\\runs\\\\model.ckpt-1875",
     "gone/model\\056ckpt-1875"],
)  # fmt: skip
def test_where_the_file_checkpoint_points(named: str, tmp_path: Path) -> None:
    folder = shutil.copytree(ESTIMATORS / "row_lstm", tmp_path / "moved")
    (folder / "checkpoint").write_text(
        f'all_model_checkpoint_paths: "x"\nmodel_checkpoint_path: "{named}"\n'
    )
    assert open_source(folder).arrays["global_step"] == 1875


def test_an_absolute_path_that_exists_and_a_saved_model(tmp_path: Path) -> None:
    there = (ESTIMATORS / "row_lstm" / "model.ckpt-1875").absolute()
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{there}"')
    assert open_source(tmp_path).arrays["global_step"] == 1875
    saved = tmp_path / "saved"
    shutil.copytree(WEIGHTS / "shards", saved / "variables")
    assert list(open_source(saved).arrays) == ["w0", "w1"]
