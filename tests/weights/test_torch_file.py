"""PyTorch files: what torch 2.13.0 saved, and pickles that ask for more than tensors."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from seqvision.weights.source import open_source
from tests.data.weights.make_fixtures import values
from tests.weights.refusing import refusal

WEIGHTS = Path("tests/data/weights")
LSTM = {
    "lstm.weight_ih_l0": (16, 3),
    "lstm.weight_hh_l0": (16, 4),
    "lstm.bias_ih_l0": (16,),
    "lstm.bias_hh_l0": (16,),
    "lstm.weight_ih_l1": (16, 4),
    "lstm.weight_hh_l1": (16, 4),
    "lstm.bias_ih_l1": (16,),
    "lstm.bias_hh_l1": (16,),
    "out.weight": (2, 4),
    "out.bias": (2,),
}


@pytest.mark.parametrize(
    ("name", "inside"), [("lstm.pt", None), ("old.pt", None), ("checkpoint.pth", "state_dict")]
)
def test_state_dicts(name: str, inside: str | None) -> None:
    source = open_source(WEIGHTS / name)
    assert source.kind == "torch"
    assert source.facts.get("inside") == inside
    assert list(source.arrays) == list(LSTM)
    for array, shape in LSTM.items():
        assert source.arrays.shape(array) == shape
        np.testing.assert_array_equal(source.arrays[array], values(array, shape))


def test_views_and_types() -> None:
    arrays = open_source(WEIGHTS / "views.pt").arrays
    matrix = values("matrix", (3, 4))
    expected = {
        "matrix": matrix,
        "transposed": matrix.T,
        "corner": matrix[1:, 2:],
        "bfloat16": values("bfloat16", (5,)),
        "float16": values("float16", (5,)).astype(np.float16),
        "float64": values("float64", (5,)).astype(np.float64),
        "int64": np.array([1, -2, 2**40]),
        "int8": np.array([1, -2], np.int8),
        "bool": np.array([True, False]),
        "scalar": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
        "parameter": values("parameter", (2,)),
    }
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays.dtype(name) == arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
        arrays[name].fill(0)  # It is the caller's own.


def test_a_whole_module() -> None:
    """Its tensors, in the order of its state_dict."""
    arrays = open_source(WEIGHTS / "module.pt").arrays
    assert list(arrays) == list(LSTM)
    for array, shape in LSTM.items():
        np.testing.assert_array_equal(arrays[array], values(array, shape))


@pytest.mark.parametrize("size", [40, 500, 1500, -1])
def test_files_of_before_1_6_cut_short(size: int, tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    path.write_bytes((WEIGHTS / "old.pt").read_bytes()[:size])
    assert "damaged or incomplete" in refusal(path)


def text(content: str) -> bytes:
    return b"X" + struct.pack("<I", len(content.encode())) + content.encode()


def named(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def number(value: int) -> bytes:
    return b"\x8a" + bytes([9]) + value.to_bytes(9, "little", signed=True)


def storage(length: int = 6, kind: str = "torch.FloatStorage", key: str = "0") -> bytes:
    identity = text("storage") + named(kind) + text(key) + text("cpu") + number(length)
    return b"(" + identity + b"tQ"


def tensor(
    shape: tuple[int, ...] = (6,),
    strides: tuple[int, ...] = (1,),
    offset: int = 0,
    stored: bytes | None = None,
) -> bytes:
    def sizes(numbers: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, numbers)) + b"t"

    arguments = (storage() if stored is None else stored) + number(offset) + sizes(shape)
    call = b"(" + arguments + sizes(strides) + b"\x89" + b"}t"
    return named("torch._utils._rebuild_tensor_v2") + call + b"R"


def state(value: bytes, key: str = "w") -> bytes:
    return b"}" + text(key) + value + b"s"


def saved(folder: Path, pickle: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    path = folder / "w.pt"
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("w/data.pkl", b"\x80\x02" + pickle + b".")
        file.writestr("w/byteorder", "little")
        file.writestr("w/data/0", np.arange(6, dtype=np.float32).tobytes())
    return path


def state_dict(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """What torch.save(state_dict, path) writes, in the order of the rows."""
    with zipfile.ZipFile(path, "w") as file:
        content = b"}"
        for key, (name, array) in enumerate(arrays.items()):
            strides = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
            stored = storage(array.size, key=str(key))
            content += text(name) + tensor(array.shape, strides, stored=stored) + b"s"
            file.writestr(f"w/data/{key}", array.tobytes())
        file.writestr("w/data.pkl", b"\x80\x02" + content + b".")


@pytest.mark.parametrize(
    ("pickle", "expected"),
    [
        (state(tensor()), [0, 1, 2, 3, 4, 5]),
        (state(tensor((2, 2), (2, 1), 1)), [[1, 2], [3, 4]]),
        (state(tensor((2, 3), (1, 2))), [[0, 2, 4], [1, 3, 5]]),
        (state(tensor((1, 6), (2**40, 1))), [[0, 1, 2, 3, 4, 5]]),
        (state(state(state(tensor()), "weights"), "model"), [0, 1, 2, 3, 4, 5]),
        (state(state(tensor()), "my_own"), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_pickles_by_hand(pickle: bytes, expected: list[object], tmp_path: Path) -> None:
    assert open_source(saved(tmp_path, pickle)).arrays["w"].tolist() == expected


def module(attributes: bytes, memo: bytes = b"") -> bytes:
    """An object of a class of the user's, as `pickle` builds it."""
    return named("my.Network") + b")\x81" + memo + attributes + b"b"


PRINT = named("builtins.print") + b"(" + text("executed") + b"tR"


@pytest.mark.parametrize(
    ("pickle", "problem"),
    [
        (PRINT, "asks for builtins.print, which is no part of a state_dict; nothing of it was run"),
        (state(PRINT), "asks for builtins.print"),
        (text("builtins") + text("print") + b"\x93" + b"(" + text("a") + b"tR", "builtins.print"),
        (named("torch.nn\x1b.Linear") + b")R", r"asks for torch.nn\x1b.Linear"),
        (named("torch.nn.Linear"), "no tensors by name"),
        (named("builtins.print") + b"(" + text("executed") + b"t\x81", "no tensors by name"),
        (module(b"}"), "no tensors by name"),
        (module(b"]"), "no tensors by name"),
        (module(state(state(tensor()), "_parameters")), ""),
        (module(state(state(tensor(), "a" * 2000), "_parameters")), ""),
        (module(state(state(b"h\7", "m"), "_modules"), b"q\7"), "no tensors by name"),
        (module(state(state(b"N", "m"), "_modules")), "no tensors by name"),
        (b"ibuiltins\nprint\n", "opcode INST"),
        (b")\x81", "none of a state_dict"),
        (named("torch.FloatStorage") + b")R", "calls what is no function"),
        (text("print") + b")R", "calls what is no function"),
        (named("torch.Size") + b"(" + number(5) + b"tR", "not iterable"),
        (named("torch.Size") + b")R", "missing 1 required"),
        (named("collections.OrderedDict") + b"(]" + number(5) + b"atR", "is none of a state_dict"),
        (b"}]}s", "no dict of names"),
        (b"]" + text("a") + b"}s", "no dict of names"),
        (b"}" + text("a") + b"a", "appends to what is no list"),
        (b"(((t", "no tensors by name"),
        (b"t", "none of a state_dict"),
        (b"h\7", "none of a state_dict"),
        (b"N" + b"r\xff\xff\xff\x7f", "no tensors by name"),
        (b"\x96" + struct.pack("<Q", 2**62), "bytearray"),
        (b"\x8d" + struct.pack("<Q", 2**40) + b"a", "expected 1099511627776 bytes"),
        (b"\x8b" + struct.pack("<i", 2**30), "long4"),
        (b"I12\n", "opcode INT"),
        (b"}q\0" + text("a") + b"h\0s", "no tensors by name"),
        (b"]" * 3000 + b"a" * 2999, "no tensors by name"),
        (state(tensor()), ""),
        (state(tensor(stored=b"N")), "not described as PyTorch does"),
        (state(tensor((6,), (-1,), 5)), "not described as PyTorch does"),
        (state(tensor((6,), (1, 1))), "not described as PyTorch does"),
        (state(tensor((6,), (2,))), "shape (6,) in 6 values"),
        (state(tensor(offset=1)), "shape (6,) in 6 values"),
        (state(tensor((2**40,), (0,))), "shape (1099511627776,) in 6 values"),
        (state(tensor((1,) * 40, (1,) * 40)), "an array of shape"),
        (state(tensor(stored=storage(2**40))), "1099511627776 values of float32 in 24 bytes"),
        (state(tensor(stored=storage(5))), "5 values of float32 in 24 bytes"),
        (state(tensor(stored=storage(kind="torch.QInt8Storage"))), "torch.QInt8Storage"),
        (state(tensor(stored=storage(kind="torch.Size"))), "no known type and size"),
        (state(tensor(stored=storage(key="../../x"))), "it has no entry w/data/../../x"),
        (state(tensor(stored=b"NQ")), "none of a state_dict"),
        (
            b"}" + text("a") + state(tensor()) + b"s" + text("b") + state(tensor()) + b"s",
            "2 dicts of tensors: a, b",
        ),
    ],
)  # fmt: skip
def test_hostile_pickles(
    pickle: bytes, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path, pickle)
    if problem:
        assert problem in refusal(path)
    else:
        open_source(path)
    assert capsys.readouterr().out == ""


def test_tensors_over_each_other_are_bounded(tmp_path: Path) -> None:
    """40 kernels of 400 KB in one storage."""
    path = tmp_path / "w.pt"
    content = b"".join(
        text(f"{n}.weight") + tensor((10, 10_000), (10_000, 1), stored=storage(100_000)) + b"s"
        for n in range(40)
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", b"\x80\x02}" + content + b".")
        file.writestr("w/data/0", bytes(400_000))
    assert "arrays of 16000000 bytes in all in 4" in refusal(path)


def test_zip_files(tmp_path: Path) -> None:
    path = saved(tmp_path, state(tensor()), zipfile.ZIP_DEFLATED)
    assert "w/byteorder in it is compressed" in refusal(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("w/data.pkl", bytes(50_000_000))
    assert "w/data.pkl in it is compressed" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", b"\x80\x02}.")
        file.writestr("w/byteorder", "big")
    assert "not little-endian" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", b"\x80\x02}.")
        file.writestr("w/constants.pkl", b"")
    assert "a TorchScript program" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "")
    assert "neither Keras nor PyTorch" in refusal(path)
    path.write_bytes(saved(tmp_path, state(tensor())).read_bytes()[:-5])
    assert "not a zip file; it is damaged" in refusal(path)
