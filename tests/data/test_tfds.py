"""TFDS without TensorFlow: sets prepared, read and cached; damage found and mended."""

import errno
import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from seqvision.data.dataset import Dataset
from seqvision.data.files.pixels import fit
from seqvision.data.sources import mnist_family
from seqvision.data.sources import tfds as source
from seqvision.data.sources.idx import read_idx
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.set_name import checked_name
from seqvision.data.sources.tfds import load_tfds
from seqvision.errors import UserError
from tests.data.making import as_multiset, says

Loader = Callable[..., Dataset]


def silent(line: str) -> None: ...


def test_a_prepared_folder_is_used_as_it_is(load: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("prepared again")

    first = load("one")
    monkeypatch.setattr(mnist_family, "prepare", refuse)
    assert load("two").fingerprints == first.fingerprints
    monkeypatch.setattr(source, "prepared_builder", refuse)
    again = load("two")
    np.testing.assert_array_equal(again.splits["train"].inputs, first.splits["train"].inputs)


# --- damage ---


@pytest.fixture
def small_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with fashion_mnist prepared from a few made images, as TFDS lays it out."""
    from tensorflow_datasets.image_classification import mnist as stock

    monkeypatch.setattr(stock, "_TRAIN_EXAMPLES", 30)
    monkeypatch.setattr(stock, "_TEST_EXAMPLES", 20)
    manual = tmp_path / "tfds" / "downloads" / "manual"
    manual.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = rng.integers(0, 10, count, np.uint8)
        (manual / f"{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">4I", 0x803, count, 28, 28) + images.tobytes())
        )
        (manual / f"{part}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">2I", 0x801, count) + labels.tobytes())
        )

    # These are not the official files, so the checksums are theirs, computed here.
    from tensorflow_datasets.core.download import checksums
    from tensorflow_datasets.core.download.download_manager import DownloadManager

    computed = {path.name: checksums.compute_url_info(path) for path in manual.iterdir()}
    monkeypatch.setattr(
        DownloadManager,
        "_url_infos",
        property(lambda self: {stock.FashionMNIST.URL + name: i for name, i in computed.items()}),
        raising=False,
    )
    monkeypatch.setattr(DownloadManager, "__setattr__", _skip_url_infos, raising=False)
    return tmp_path / "tfds"


@pytest.fixture
def load(small_prepared: Path, tmp_path: Path) -> Loader:
    """Loads that set; its cache is a folder of the test."""

    def load(cache: str = "cache", name: str = "fashion_mnist", **options: Any) -> Dataset:
        loading = Loading(cache_dir=tmp_path / cache, **({"say": silent} | options))
        return load_tfds(name, str(small_prepared), loading)

    return load


def _skip_url_infos(self: object, name: str, value: object) -> None:
    if name != "_url_infos":
        object.__setattr__(self, name, value)


def test_another_set_of_the_family(load: Loader, small_prepared: Path) -> None:
    dataset = load()
    assert dataset.class_names[:2] == ("T-shirt/top", "Trouser")
    manual = small_prepared / "downloads" / "manual"
    images = read_idx(manual / "train-images-idx3-ubyte.gz")[..., None]
    labels = read_idx(manual / "train-labels-idx1-ubyte.gz").astype(np.int32)
    assert as_multiset(
        dataset.splits["train"].inputs, dataset.splits["train"].labels
    ) == as_multiset(images, labels)
    assert not list((small_prepared / ".seqvision").glob("*/"))


def test_images_scaled_and_coloured(load: Loader) -> None:
    whole, scaled = load(), load(size=(14, 7, 3))
    assert scaled.input_shape == (14, 7, 3)
    for name, split in whole.splits.items():
        expected = [fit(image[None], 14, 7, 3)[0] for image in split.inputs]
        np.testing.assert_array_equal(scaled.splits[name].inputs, expected)
        np.testing.assert_array_equal(scaled.splits[name].labels, split.labels)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "metadata", "missing"])
def test_damaged_prepared_data_is_named_and_mended_by_running_again(
    load: Loader, small_prepared: Path, damage: str
) -> None:
    before = load()
    folder = small_prepared / "fashion_mnist" / "3.0.1"
    record = next(folder.glob("*train*array_record*"))
    content = record.read_bytes()
    if damage == "truncated":
        record.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        record.write_bytes(
            content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        )
    elif damage == "metadata":
        (folder / "dataset_info.json").write_text('{"name": "fash')
    else:
        record.unlink()
    says(load, str(folder), "damaged", "run the command again")
    assert load().fingerprints == before.fingerprints


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./fashion_mnist", "did you mean 'fashion_mnist'?"),
        ("fashion_mnist:", "did you mean 'fashion_mnist'?"),
        ("fashion_mnist/", "did you mean 'fashion_mnist'?"),
        ("fashion_mnist/../fashion_mnist", "is no name of a TFDS dataset"),
        ("fashion_mnist/3.0.1", "did you mean 'fashion_mnist:3.0.1'?"),
        ("mnist 3.0.1", "did you mean 'mnist:3.0.1'?"),
        ("my-data", "config.data.source=folders"),
        ("*", "config.data.source=folders"),
        ("fashion_mnist\n", "did you mean 'fashion_mnist'?"),
        ("fashion_mnist/x", "fashion_mnist has no 'x'"),
        ("fashion_mnits", "is no TFDS dataset; did you mean 'fashion_mnist'?"),
        ("fashion_mnist:*.*.9", "config.data.name: 'fashion_mnist:*.*.9'"),
    ],
)
def test_a_mistyped_name_moves_nothing(
    load: Loader, small_prepared: Path, name: str, message: str
) -> None:
    folder = small_prepared / "fashion_mnist" / "3.0.1"
    folder.mkdir(parents=True)
    for file in ("dataset_info.json", "features.json"):
        (folder / file).write_text("{}")
    (folder / mnist_family.MARKER).touch()
    says(lambda: load(name=name), message)
    assert [path.name for path in folder.parent.iterdir()] == ["3.0.1"]


@pytest.mark.parametrize(
    "name",
    ["FashionMNIST", "fashion-mnist", "Fashion-MNIST", "fashion mnist", "FashionMnist:3.0.1"],
)
def test_a_set_by_the_name_of_its_makers(load: Loader, name: str) -> None:
    assert load(name=name).name == "fashion_mnist" + ":3.0.1" * name.endswith("1")


def test_other_names_of_mnist() -> None:
    names = {"MNIST": "mnist", "EMNIST/letters": "emnist/letters", "KMNIST:3.0.1": "kmnist:3.0.1"}
    names |= {"CIFAR-10": "cifar10", "CIFAR 100": "cifar100", "cifar_10:3.0.2": "cifar10:3.0.2"}
    names |= {"cifar-10-1": "cifar10_1", "Cifar10 1": "cifar10_1"}
    names |= {"Fashion_MNIST": "fashion_mnist", "K-MNIST": "kmnist", "SVHN cropped": "svhn_cropped"}
    assert {name: checked_name(name) for name in names} == names
    for name in ("mnist", "cifar10_1/v4", "c4/en.noblocklist", "mnist:3.*.*"):
        assert checked_name(name) == name
    for name in ("cifar-101", "cifar10-0", "cif-ar101"):  # Other numbers, so no other set.
        with pytest.raises(UserError, match="no name of a TFDS dataset"):
            checked_name(name)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_an_error_of_the_machine_is_no_damage(
    load: Loader, small_prepared: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    load()

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    for module, function in ((tfds, "builder"), (source, "open_records")):
        with monkeypatch.context() as patch:
            patch.setattr(module, function, fail)
            with pytest.raises(UserError):
                load("other")
    assert [path.name for path in (small_prepared / "fashion_mnist").iterdir()] == ["3.0.1"]


def test_half_a_prepared_folder_is_moved_aside(load: Loader, small_prepared: Path) -> None:
    half = small_prepared / "fashion_mnist" / "3.0.1"
    half.mkdir(parents=True)
    (half / "fashion_mnist-train.array_record-00000-of-00001").write_bytes(b"half")
    dataset = load()
    assert len(dataset.splits["train"]) == 30
    assert [path.name for path in half.parent.glob("*damaged*")] == ["3.0.1.damaged"]


def test_damaged_data_that_others_prepared_is_left_alone(
    load: Loader, small_prepared: Path
) -> None:
    load()
    folder = small_prepared / "fashion_mnist" / "3.0.1"
    (folder / mnist_family.MARKER).unlink()
    record = next(folder.glob("*train*array_record*"))
    record.write_bytes(record.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"damaged .* move this folder away"):
        load()
    assert record.exists()


def test_a_version_may_be_named(load: Loader) -> None:
    assert load(name="fashion_mnist:3.0.1").version == "3.0.1"
    with pytest.raises(UserError, match=r"config\.data\.name: 'fashion_mnist:9\.9\.9'"):
        load(name="fashion_mnist:9.9.9")


def test_an_interrupted_preparation_leaves_nothing_that_looks_finished(
    load: Loader, small_prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(image: np.ndarray) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mnist_family, "_png", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load()
    assert not (small_prepared / "fashion_mnist").exists()
    # As a kill would leave it:
    stale = small_prepared / ".seqvision" / "fashion_mnist" / "fashion_mnist" / "3.0.1"
    stale.mkdir(parents=True)
    (stale / "dataset_info.json").write_text("{")
    dataset = load()
    assert len(dataset.splits["train"]) == 30


def test_a_full_disk_is_one_clear_line(load: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(mnist_family, "_png", full)
        with pytest.raises(UserError, match=r"the disk is full \(\d+ MiB free\)"):
            load()
    # A cache that cannot be written costs time, not the run.
    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(source, "write_cache", full)
        load(say=said.append)
    assert any("not cached" in line and "the disk is full" in line for line in said)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnsit", "'mnsit' is no TFDS dataset; did you mean 'mnist'?"),
        ("emnist/leters", "did you mean 'emnist/letters'?"),
        ("mnist/leters", "mnist has no 'leters'; it has no variants"),
        ("cifar10", "preparing it needs TensorFlow: pip install tensorflow"),
        ("coco", "TFDS needs tensorflow for 'coco': pip install tensorflow"),
        ("kmnist", "not prepared in"),
    ],
)
def test_a_set_that_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    from tensorflow_datasets.core.download.downloader import _Downloader
    from tensorflow_datasets.core.download.util import DownloadError

    def no_network(*_: object, **__: object) -> None:
        raise DownloadError("Failed to get url: no network")

    monkeypatch.setattr(_Downloader, "download", no_network)
    says(lambda: load_tfds(name, str(tmp_path / "tfds"), Loading(say=silent)), message)


def test_a_damaged_cache_is_said_and_read_anew(load: Loader, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = load()
    file = next(cache.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:-10])
    said: list[str] = []
    after = load(say=said.append)
    assert after.fingerprints == before.fingerprints
    assert any(str(file) in line and "reading the prepared data again" in line for line in said)
    # So is one that cannot be read, which is no fault of config.data.dir.
    file.unlink()
    file.symlink_to(file)
    said.clear()
    assert load(say=said.append).fingerprints == before.fingerprints
    (line,) = (line for line in said if "reading the prepared data again" in line)
    assert str(file) in line and "config.data.cache_dir" in line and "config.data.dir" not in line
