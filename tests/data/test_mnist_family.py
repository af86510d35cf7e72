"""The files of MNIST and its relatives: shipped, in IDX, in EMNIST's archive."""

import gzip
import hashlib
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from seqvision.data.dataset import Dataset
from seqvision.data.sources import mnist_family
from seqvision.data.sources import tfds as source
from seqvision.data.sources.idx import read_idx
from seqvision.data.sources.idx_folder import load_idx
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.tfds import format_of, load_tfds
from tests.data.making import as_multiset, says

SHIPPED = Path("seqvision/data/mnist")


def official(part: str) -> tuple[np.ndarray, np.ndarray]:
    """The official files, read without this project's code."""
    with gzip.open(SHIPPED / f"{part}-images-idx3-ubyte.gz") as file:
        _, count, height, width = struct.unpack(">4I", file.read(16))
        images = np.frombuffer(file.read(), np.uint8).reshape(count, height, width, 1)
    with gzip.open(SHIPPED / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8).astype(np.int32)
    return images, labels


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_mnist_is_the_official_one(mnist: Dataset, part: str) -> None:
    split = mnist.splits["train"] if part == "train" else mnist.splits["test"]
    images, labels = official(part)
    assert split.inputs.shape == images.shape
    assert as_multiset(split.inputs, split.labels) == as_multiset(images, labels)


def test_stock_tfds_reads_what_was_prepared(mnist: Dataset, data_home: Path) -> None:
    stock = tfds.data_source("mnist", data_dir=data_home / "tfds", split="test")
    assert len(stock) == 10_000
    for index in (0, 1, 9_999):
        np.testing.assert_array_equal(stock[index]["image"], mnist.splits["test"].inputs[index])
        assert stock[index]["label"] == mnist.splits["test"].labels[index]


def test_a_damaged_shipped_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "mnist"
    copy.mkdir()
    for path in SHIPPED.glob("*.gz"):
        (copy / path.name).write_bytes(path.read_bytes())
    damaged = copy / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    monkeypatch.setattr(mnist_family, "SHIPPED_MNIST", copy)
    line = says(lambda: load_tfds("mnist", str(tmp_path / "tfds"), Loading()), "reinstall")
    assert line.startswith(f"{damaged}: damaged")


def test_files_compressed_anew_can_be_read_as_they_are(tmp_path: Path) -> None:
    """As Debian has those of Fashion-MNIST, which TFDS does not take."""
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    images, labels = (array[:100] for array in official("t10k"))
    for part in ("train", "t10k"):
        header = struct.pack(">4I", 2051, *images.shape[:3])
        whole = (
            header + images.tobytes(),
            struct.pack(">2I", 2049, 100) + labels.astype("u1").tobytes(),
        )
        for content, kind in zip(whole, ("images-idx3", "labels-idx1"), strict=True):
            (manual / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    line = says(lambda: load_tfds("fashion_mnist", str(tmp_path), Loading()), "compressed anew")
    assert line.startswith(f"{manual}/") and line.endswith("and --config.data.path")
    test = load_idx(manual, Loading()).splits["test"]
    np.testing.assert_array_equal(test.inputs, images)
    np.testing.assert_array_equal(test.labels, labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08\x01\0\0\0\x05abc", "3 bytes of data where the header"),
        (b"\0\0\x0d\x01\0\0\0\x01abcd", "not an IDX file of bytes"),
        (b"\0\0\x08\x03\0\0", "header is cut short"),
        (b"", "not an IDX file"),
    ],
)
def test_idx_errors(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_shipped_files_have_their_licence() -> None:
    text = (SHIPPED / "LICENSE.md").read_text()
    assert "Creative Commons" in text
    for path in SHIPPED.glob("*.gz"):
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" in text


def test_emnist_comes_out_of_its_zip(tmp_path: Path) -> None:
    """TFDS's EMNIST builder, changed as `prepare` changes it, on a small archive made here."""
    images = np.arange(2 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(2, 28, 28)
    archive = tmp_path / "gzip.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for part in ("train", "test"):
            stem = f"gzip/emnist-letters-{part}"
            header = struct.pack(">4I", 0x803, 2, 28, 28)
            file.writestr(f"{stem}-images-idx3-ubyte.gz", gzip.compress(header + images.tobytes()))
            labels = struct.pack(">2I", 0x801, 2) + bytes([3, 26])
            file.writestr(f"{stem}-labels-idx1-ubyte.gz", gzip.compress(labels))

    class Downloaded:
        def download(self, url: str) -> Path:
            assert url.endswith("gzip.zip")
            return archive

    builder = mnist_family._builder("emnist/letters", tmp_path / "tfds")
    splits = builder._split_generators(Downloaded())
    assert [split.gen_kwargs["num_examples"] for split in splits] == [88_800, 14_800]
    arguments = splits[1].gen_kwargs | {"num_examples": 2}
    examples = [example for _, example in builder._generate_examples(**arguments)]
    assert [example["label"] for example in examples] == [3, 26]
    for example, image in zip(examples, images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(example["image"])), image)


@pytest.mark.parametrize(
    ("config", "label", "symbol"),
    [
        ("letters", 1, "a"),
        ("letters", 26, "z"),
        ("balanced", 36, "a"),
        ("balanced", 46, "t"),
        ("bymerge", 35, "Z"),
        ("byclass", 61, "z"),
        ("digits", 9, "9"),
    ],
)
def test_emnist_is_upright_and_has_names(
    monkeypatch: pytest.MonkeyPatch, config: str, label: int, symbol: str
) -> None:
    """The symbols are those of EMNIST's mapping files. TFDS's top row is the left column."""
    image = np.zeros((28, 20, 1), np.uint8)
    image[0] = 255
    builder = SimpleNamespace(builder_config=SimpleNamespace(name=config))
    monkeypatch.setattr(source, "image_shape_and_classes", lambda *_: (image.shape, ()))
    form = format_of(builder, f"emnist/{config}", (0, 0, 0))
    test = form.decoded([{"image": image, "label": label}], 1)
    assert form.class_names[test.labels[0]] == symbol
    assert form.input_shape == (20, 28, 1) == test.inputs.shape[1:]
    assert test.inputs[0, :, 0].all() and not test.inputs[0, :, 1:].any()
