"""The four IDX files of the MNIST family: plain and gzipped, under the names people find them."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from seqvision.data.dataset import Dataset
from seqvision.data.sources.idx_folder import load_idx
from seqvision.data.sources.loading import Loading
from tests.data.making import arrays, assert_equal, npz, says


def idx(array: np.ndarray) -> bytes:
    """As LeCun's page describes it: two zeros, 8 for unsigned bytes, the axes, their sizes."""
    return (
        struct.pack(">BBBB", 0, 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def load(path: Path, **options: object) -> Dataset:
    return load_idx(path, Loading(**({"say": lambda line: None} | options)))  # type: ignore[arg-type]


SETS = {
    "train-images": np.random.default_rng(0).integers(0, 256, (20, 6, 5), np.uint8),
    "train-labels": np.arange(20) % 4,
    "t10k-images": np.random.default_rng(1).integers(0, 256, (8, 6, 5), np.uint8),
    "t10k-labels": np.arange(8) % 4,
}


def write(path: Path, form: str, **changed: np.ndarray) -> Path:
    path.mkdir(exist_ok=True)
    for name, array in (SETS | changed).items():
        split, kind = name.split("-")
        file = path / form.format(split=split, kind=kind, axes=np.ndim(array))
        content = idx(np.asarray(array))
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize(
    "form",
    [
        "{split}-{kind}-idx{axes}-ubyte.gz",
        "{split}-{kind}-idx{axes}-ubyte",
        "{split}-{kind}.idx{axes}-ubyte",
        "qmnist-{split}-{kind}-idx{axes}-ubyte.gz",
    ],
)
def test_all_forms_are_equal(tmp_path: Path, form: str) -> None:
    names = {"train": "train", "t10k": "test"}
    saved = {f"{names[k.split('-')[0]]}_{k.split('-')[1]}": array for k, array in SETS.items()}
    np.savez(tmp_path / "set.npz", **saved)
    found = load(write(tmp_path / "set", form), validation_fraction=0.2)
    assert_equal(found, npz(tmp_path / "set.npz", validation_fraction=0.2))
    assert found.input_shape == (6, 5, 1) and list(found.splits) == ["train", "validation", "test"]


def test_both_gzipped_and_plain_and_no_test_split(tmp_path: Path) -> None:
    """As torchvision leaves them in `raw`."""
    path = write(tmp_path / "set", "{split}-{kind}-idx{axes}-ubyte.gz")
    before = load(path)
    assert_equal(load(write(path, "{split}-{kind}-idx{axes}-ubyte")), before)
    for file in path.glob("t10k*"):
        file.unlink()
    assert list(load(path, test_fraction=0.4).splits) == ["train", "test"]


def test_emnist_lies_on_its_side_and_begins_at_1(tmp_path: Path) -> None:
    labels = {name: SETS[name] + 1 for name in ("train-labels", "t10k-labels")}
    path = write(tmp_path / "set", "emnist-letters-{split}-{kind}-idx{axes}-ubyte.gz", **labels)
    lines: list[str] = []
    found = load(path, say=lines.append)
    np.testing.assert_array_equal(
        arrays(found).inputs[..., 0], SETS["train-images"].transpose(0, 2, 1)
    )
    assert arrays(found).labels.tolist() == SETS["train-labels"].tolist()
    assert found.class_names == ("1", "2", "3", "4")
    assert "turned upright" in lines[0] and "begin at 1" in lines[1]


def test_the_shipped_files_are_a_source(tmp_path: Path) -> None:
    for file in Path("seqvision/data/mnist").glob("t10k-*.gz"):
        shutil.copy(file, tmp_path / file.name.replace("t10k", "train"))
    found = load(tmp_path)
    assert found.input_shape == (28, 28, 1) and len(found.split("train")) == 10000
    # The test set's first labels: 7 2 1 0 4 1 4 9 5 9.
    assert arrays(found).labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_what_is_wrong(tmp_path: Path) -> None:
    says(lambda: load(tmp_path / "x"), "no such folder", "config.data.path")
    says(lambda: load(tmp_path), "no train-images-idx3-ubyte in it", "nothing")
    path = write(tmp_path / "set", "{split}-{kind}-idx{axes}-ubyte")
    (path / "t10k-labels-idx1-ubyte").unlink()
    says(lambda: load(path), "no t10k-labels-idx1-ubyte", "train-images-idx3-ubyte")
    write(path, "emnist-digits-{split}-{kind}-idx{axes}-ubyte")
    says(lambda: load(path), "several sets", "emnist-digits-...")
    path = write(tmp_path / "cut", "{split}-{kind}-idx{axes}-ubyte")
    file = path / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    says(lambda: load(path), "train-images-idx3-ubyte", "599 bytes of data", "600")
    file.write_bytes(b"text")
    says(lambda: load(path), "train-images-idx3-ubyte", "gzip")
    file.write_bytes(gzip.compress(idx(SETS["train-images"]))[:-9])
    says(lambda: load(path), "train-images-idx3-ubyte", "gzip")
