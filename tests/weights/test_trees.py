"""Safetensors and Flax files, own runs, and how the kind of a source is told."""

import json
import random
import struct
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from flax import serialization
from safetensors.numpy import save_file

from seqvision.errors import UserError
from seqvision.weights.source import open_source
from tests.data.weights.make_fixtures import values
from tests.weights.refusing import refusal
from tests.weights.test_damaged_checkpoints import mutated
from tests.weights.test_torch_file import LSTM

WEIGHTS = Path("tests/data/weights")
TREE = {
    "params": {
        "lstm": {"hi": {"kernel": values("hi", (4, 4)), "bias": values("b", (4,))}},
        "Dense_0": {"kernel": values("dense", (4, 2))},
    },
    "step": np.int32(7),
}
LEAVES = {
    "params/lstm/hi/kernel": values("hi", (4, 4)),
    "params/lstm/hi/bias": values("b", (4,)),
    "params/Dense_0/kernel": values("dense", (4, 2)),
    "step": np.array(7, np.int32),
}


def test_state_dicts_in_safetensors() -> None:
    source = open_source(WEIGHTS / "lstm.safetensors")
    assert source.kind == "torch"
    assert source.facts == {"metadata": {"format": "pt"}}
    assert set(source.arrays) == set(LSTM)
    for name, shape in LSTM.items():
        assert source.arrays.shape(name) == shape
        np.testing.assert_array_equal(source.arrays[name], values(name, shape))


def test_types_in_safetensors() -> None:
    expected = dict(open_source(WEIGHTS / "views.pt").arrays.items())
    found = open_source(WEIGHTS / "views.safetensors").arrays
    assert len(found) == 8
    for name, array in found.items():
        assert found.dtype(name) == array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(
    ("names", "metadata", "kind"),
    [
        (["params.lstm.hi.kernel", "params.lstm.hi.bias"], None, "flax"),
        (["params/Dense_0/kernel"], None, "flax"),
        (["norm/scale", "norm/bias"], None, "flax"),
        (["lstm.weight_ih_l0"], None, "torch"),
        (["out.weight", "scale"], None, "torch"),
        (["out.kernel"], {"format": "pt"}, "torch"),
        (["weights"], {"format": "flax"}, "flax"),
    ],
)
def test_whose_safetensors(
    names: list[str], metadata: dict[str, str] | None, kind: str, tmp_path: Path
) -> None:
    save_file({name: np.zeros(2) for name in names}, tmp_path / "w", metadata)
    assert open_source(tmp_path / "w").kind == kind


def safetensors(header: Any, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(8)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (safetensors({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}), "invalid"),
        (safetensors({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**40]}}), "invalid"),
        (safetensors({"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}), "F99"),
        (safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}), "incomplete"),
        (safetensors([]), "of no known kind"),
        (safetensors({}, 2**60), "of no known kind"),
    ],
)
def test_damaged_safetensors(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    assert problem in refusal(tmp_path / "w.safetensors")


def test_types_of_safetensors_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(
        safetensors({"w": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}})
    )
    source = open_source(tmp_path / "w")
    assert not len(source.arrays)
    assert source.skipped == {"w": "F8_E4M3"}


def test_flax_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.msgpack"
    path.write_bytes(serialization.to_bytes(TREE | {"name": "text"}))
    source = open_source(path)
    assert source.kind == "flax"
    assert source.skipped == {"name": "str"}
    assert list(source.arrays) == list(LEAVES)
    for name, array in LEAVES.items():
        assert source.arrays.dtype(name) == array.dtype
        np.testing.assert_array_equal(source.arrays[name], array)
    # What is larger than 2^30 bytes is written in pieces.
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 16)
    path.write_bytes(serialization.to_bytes(TREE))
    assert b"__msgpack_chunked_array__" in path.read_bytes()
    for name, array in open_source(path).arrays.items():
        np.testing.assert_array_equal(array, LEAVES[name])


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64", "int8", "uint32", "bool"])
def test_types_of_flax(kind: str, tmp_path: Path) -> None:
    array = values("w", (3, 2))
    stored = np.asarray(array, jnp.bfloat16) if kind == "bfloat16" else array.astype(kind)
    (tmp_path / "w").write_bytes(serialization.to_bytes({"w": stored}))
    found = open_source(tmp_path / "w").arrays["w"]
    assert found.dtype == ("float32" if kind == "bfloat16" else kind)
    np.testing.assert_array_equal(found, stored.astype(found.dtype))


def flax(shape: Any, kind: str, content: bytes) -> bytes:
    array = msgpack.ExtType(1, msgpack.packb((shape, kind, content)))
    return msgpack.packb({"w": array})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (flax((2**40,), "float32", bytes(8)), "cannot reshape"),
        (flax((-2,), "float32", bytes(8)), "an array of shape (-2,)"),
        (flax((1,) * 40, "float32", bytes(4)), "an array of shape"),
        (flax((2,), "O", bytes(16)), "an array of type O"),
        (flax((2,), "V1000000000", bytes(16)), "an array of type V1000000000"),
        (flax("ab", "float32", bytes(8)), "it is damaged"),
        (flax((2,), "float32", bytes(7)), "it is damaged"),
        (b"\x81\xa1w" + b"\xdd\xff\xff\xff\xff" * 900, "max_array_len"),
        (b"\x81\xa1w" + b"\xc6\xff\xff\xff\xff", "it is damaged"),
        (b"\x81\xa1w" * 100_000, "it is damaged"),
        (msgpack.packb({"a": {"b": 1}, "a/b": 2}), "a/b is in it twice"),
        (msgpack.packb({"w": {"__msgpack_chunked_array__": True}}), "it is damaged"),
        (msgpack.packb({"a": 1}) + b"more", "it is damaged"),
    ],
)
def test_damaged_flax(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "w.msgpack").write_bytes(content)
    assert problem in refusal(tmp_path / "w.msgpack")


def test_a_workdir_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text("{}")
    source = open_source(tmp_path)
    assert source.kind == "seqvision"
    assert not len(source.arrays)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "no such file or folder"), (b"", "empty; give"), (b"text", "of no known kind; give")],
)
def test_other_files(content: bytes | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "w").write_bytes(content)
    assert problem in refusal(tmp_path / "w")


FIXTURES = ["lstm.pt", "views.pt", "model.keras", "lstm.safetensors", "legacy.h5"]


def test_100_mutations_are_read_or_refused(tmp_path: Path) -> None:
    """Zip files have checksums: what is read of them is what was saved."""
    contents = {name: (WEIGHTS / name).read_bytes() for name in FIXTURES}
    contents = {"state.msgpack": serialization.to_bytes(TREE)} | contents
    expected = {n: dict(open_source(WEIGHTS / n).arrays.items()) for n in FIXTURES[:3]}
    refused = 0
    for seed in range(100):
        name = list(contents)[seed % 5]  # HDF5 alone, which has no checksums, is left out.
        rng = random.Random(seed)
        path = tmp_path / name
        path.write_bytes(mutated(contents[name], rng))
        try:
            for array, found in open_source(path).arrays.items():
                if name in expected:
                    np.testing.assert_array_equal(found, expected[name][array])
        except UserError as error:
            assert str(error).startswith(str(path))
            assert str(error).isprintable()
            refused += 1
    assert refused > 50
