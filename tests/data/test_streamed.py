"""Sets larger than memory: the same training, evaluation and order as in memory."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from configs import default
from seqvision import evaluate
from seqvision.data.dataset import ArraySplit, Dataset, StreamedSplit, hold_out_validation
from seqvision.data.sources import folders
from seqvision.data.sources.folders import load_folders
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz import load_npz
from seqvision.data.sources.tfds import load_tfds
from seqvision.data.sources.tfds_records import ImageFormat, TfdsSource
from seqvision.errors import UserError
from seqvision.train import train_and_evaluate
from seqvision.training import streamed
from tests.data.making import folders as load
from tests.data.making import npz, says
from tests.same_run import assert_same_run, interrupt_at


def silent(line: str) -> None: ...


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    pixels = rng.integers(0, 256, (300, 8, 6)).astype(np.uint8)
    np.savez(path, images=pixels, labels=rng.integers(0, 3, 300))
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    path = tmp_path / "clips.npz"
    pixels = rng.integers(0, 256, (90, 5, 8, 6)).astype(np.uint8)
    lengths, labels = rng.integers(1, 6, 90), rng.integers(0, 2, 90)
    np.savez(path, images=pixels, labels=labels, lengths=lengths)
    return path


def config_of(path: Path, resident_bytes: int, cache: Path) -> ConfigDict:
    config = default.get_config()
    config.data.source = "npz"
    config.data.path, config.data.cache_dir = str(path), str(cache)
    config.data.batch_size, config.data.eval_batch_size = 8, 16
    config.data.resident_bytes = resident_bytes
    config.model.hidden_size = 8
    config.model.execution = "scan"
    config.model.recurrent_init = "identity"  # An orthogonal matrix takes seconds to compile.
    config.duration, config.log_every = "40 steps", "7 steps"
    config.evaluate_every, config.checkpoint.every = "20 steps", "10 steps"
    config.ema_decay = 0.9
    return config


def assert_same_sets(resident: Dataset, streaming: Dataset) -> None:
    assert streaming.is_streamed and not resident.is_streamed
    assert streaming.class_names == resident.class_names
    assert streaming.input_shape == resident.input_shape
    assert streaming.splits.keys() == resident.splits.keys()
    for name, split in streaming.splits.items():
        order = np.random.default_rng(0).permutation(len(split)).astype(np.int32)
        read, array_split = split.read(order), resident.splits[name]
        assert len(split) == len(array_split) and split.names == array_split.names
        for key, array in array_split.arrays.items():
            np.testing.assert_array_equal(read[key], array[order])
            assert read[key].dtype == array.dtype


# --- the same training ---


def test_a_streamed_run_interrupted_mid_epoch_equals_a_resident_one(
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With windows, augmentation and dropout."""
    configs = [config_of(clips, size, tmp_path / "cache") for size in (2**30, 1000)]
    for config in configs:
        config.model.sequence, config.model.cnn_channels = "frames", (2,)
        config.data.window = 3
        config.augment.max_shift = 1.0
        config.model.readout_dropout = 0.2
    assert train_and_evaluate(configs[0], tmp_path / "resident").status == "done"
    assert "in memory, 0.0 MiB" in capsys.readouterr().out

    # Chunks of three batches, so that calls begin and end inside them and across epochs.
    monkeypatch.setattr(streamed, "_CHUNK_BYTES", 3 * 8 * 48 * 5)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 17)
        result = train_and_evaluate(configs[1], tmp_path / "streamed")
    assert result.status == "interrupted" and 17 <= result.step < 20
    assert train_and_evaluate(configs[1], tmp_path / "streamed").status == "done"
    assert "streamed, of 0.0 MiB" in capsys.readouterr().out
    assert_same_run(tmp_path / "resident", tmp_path / "streamed")
    status = json.loads((tmp_path / "streamed" / "status.json").read_text())
    assert 0 <= status["throughput"]["input_wait"] <= 1
    status = json.loads((tmp_path / "resident" / "status.json").read_text())
    assert status["throughput"]["input_wait"] is None

    # Evaluated later, with what is said about each example.
    said = []
    for config, name in zip(configs, ("resident", "streamed"), strict=True):
        output = tmp_path / f"{name}.jsonl"
        evaluate.evaluate_run(config, tmp_path / name, "test", str(output))
        said.append(output.read_text())
    assert said[0] == said[1] and said[0].count("\n") == len(said[0].splitlines()) > 5

    configs[1].data.resident_bytes = 2**30
    with pytest.raises(UserError, match="it was streamed, it is in memory"):
        evaluate.evaluate_run(configs[1], tmp_path / "streamed", "test")


# --- the same examples ---


def test_npz_by_memory_map_is_what_is_loaded(images: Path, clips: Path, tmp_path: Path) -> None:
    fractions: Any = {"validation_fraction": 0.1, "test_fraction": 0.2}
    streaming = fractions | {"resident_bytes": 100, "cache_dir": tmp_path / "cache"}
    for path in (images, clips):
        for size in ((0, 0, 0), (4, 4, 3)):
            loaded = load_npz(path, Loading(size=size, **fractions))
            mapped = load_npz(path, Loading(size=size, **streaming))
            assert_same_sets(loaded, mapped)
    again = load_npz(clips, Loading(**streaming))
    assert len(list((tmp_path / "cache").iterdir())) == 4  # Two for each file.
    assert list(again.fingerprints) == ["file by CRC-32"]


def test_images_read_as_clips_are_scanned_anew(tmp_path: Path) -> None:
    """A colour image and a clip of three columns are the same bytes; who is held out differs."""
    rng = np.random.default_rng(0)
    path, kept = tmp_path / "set.npz", tmp_path / "cache"
    pixels = rng.integers(0, 256, (90, 6, 6, 3)).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.arange(90) % 2)
    as_images = Loading(resident_bytes=100, test_fraction=0.3, kind="images", cache_dir=kept)
    as_clips = dataclasses.replace(as_images, kind="clips")
    load_npz(path, as_images)
    found = load_npz(path, as_clips).split("test")
    anew = dataclasses.replace(as_clips, cache_dir=tmp_path / "other")
    expected = load_npz(path, anew).split("test")
    assert found.numbers == expected.numbers and len(found) == len(expected)
    numbers = np.arange(len(found), dtype=np.int32)
    np.testing.assert_array_equal(found.read(numbers)["inputs"], expected.read(numbers)["inputs"])


def test_fortran_order_and_given_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = {
        f"{split}_images": np.asfortranarray(rng.integers(0, 256, (20, 4, 3, 3)).astype(np.uint8))
        for split in ("train", "val", "test")
    }
    labels = {f"{split}_labels": np.arange(20) % 2 for split in ("train", "val", "test")}
    np.savez(tmp_path / "set.npz", **pixels, **labels)
    loading = Loading(validation_fraction=0.1, test_fraction=0.1)
    loaded = load_npz(tmp_path / "set.npz", loading)
    streaming = dataclasses.replace(loading, resident_bytes=100)
    assert_same_sets(loaded, load_npz(tmp_path / "set.npz", streaming))


def test_a_compressed_npz_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, images=np.zeros((9, 4, 4), np.uint8), labels=np.arange(9) % 2)
    with pytest.raises(UserError, match=r"'images' is compressed.*np\.savez, not.*resident_bytes"):
        npz(path, resident_bytes=100)


def test_an_npz_that_changes_or_goes_is_named(images: Path, tmp_path: Path) -> None:
    split = npz(images, resident_bytes=100).split("train")
    first = np.zeros(1, np.int32)
    split.read(first)
    os.utime(images, ns=(1, 1))
    with pytest.raises(UserError, match=r"images\.npz: it changed while it was read"):
        split.read(first)
    images.unlink()
    with pytest.raises(UserError, match=r"images\.npz: cannot be read any more \(No such file"):
        split.read(first)


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    for name in ("cat", "dog"):
        folder = tmp_path / "pets" / name
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 256, (9, 7, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pets"


def test_folders_are_scanned_once(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (class_folders / "dog" / "7.png").write_bytes(b"no image")
    said: list[str] = []
    options: dict[str, Any] = {
        "size": (6, 6, 1),
        "broken_files": "skip",
        "validation_fraction": 0.2,
        "test_fraction": 0.2,
        "show_progress": False,
        "say": said.append,
        "cache_dir": tmp_path / "cache",
    }
    resident = load_folders(class_folders, Loading(**options))
    options["resident_bytes"] = 200
    streaming = load_folders(class_folders, Loading(**options))
    assert_same_sets(resident, streaming)
    assert said[0] == said[1] and "broken files skipped, 1 of 80" in said[0]

    decoded: list[Path] = []
    read_frames = folders.read_frames

    def noted(file: Path, *how: Any) -> np.ndarray:
        decoded.append(file)
        return read_frames(file, *how)

    monkeypatch.setattr(folders, "read_frames", noted)
    again = load_folders(class_folders, Loading(**options))
    # Some are looked at for their values, as at every start.
    assert len(decoded) <= 8 and said[2] == said[0]
    assert_same_sets(resident, again)
    assert dict(again.fingerprints) == dict(streaming.fingerprints)
    with pytest.raises(UserError, match=r"7\.png: cannot be read"):
        load_folders(class_folders, Loading(**options | {"broken_files": "fail"}))

    # Moved, it is the same set; with another image, it is not.
    moved = shutil.copytree(class_folders, tmp_path / "moved" / "pets", copy_function=shutil.copy)
    same = load_folders(moved, Loading(**options))
    assert dict(same.fingerprints) == dict(streaming.fingerprints)
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(moved / "cat" / "0.png")
    other = load_folders(moved, Loading(**options))
    assert dict(other.fingerprints) != dict(streaming.fingerprints)


def test_a_file_that_fails_in_the_middle_of_an_epoch_is_named(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, read_again = class_folders / "dog" / "7.png", folders._read_again
    split = load(class_folders, resident_bytes=100).split("train")
    number = np.array([[Path(name).name == "7.png" for name in split.names].index(True)], np.int32)
    Image.fromarray(np.zeros((3, 7, 3), np.uint8)).save(class_folders / "cat" / "7.png")
    says(lambda: split.read(number), "7.png: it changed since")
    (class_folders / "cat" / "7.png").write_bytes(b"no image")
    says(lambda: split.read(number), "7.png: cannot be read any more")
    (class_folders / "cat" / "7.png").unlink()

    def damaged(file: Path, size: tuple[int, int, int]) -> np.ndarray:
        victim.unlink(missing_ok=True)
        return read_again(file, size)

    config = config_of(class_folders, 100, tmp_path / "cache")
    config.data.source = "folders"
    monkeypatch.setattr(streamed, "_CHUNK_BYTES", 2 * 8 * 9 * 7 * 3)
    monkeypatch.setattr(folders, "_read_again", damaged)
    says(lambda: train_and_evaluate(config, tmp_path / "run"), "7.png: cannot be read any more")


def test_a_tfds_set_is_read_example_by_example(mnist: Dataset, data_home: Path) -> None:
    loading = Loading(cache_dir=data_home / "cache", say=silent, resident_bytes=1000)
    streaming = load_tfds("mnist", str(data_home / "tfds"), loading)
    assert streaming.is_streamed and streaming.input_shape == mnist.input_shape
    assert streaming.class_names == mnist.class_names
    assert list(streaming.fingerprints) == ["shards by size"]
    chosen = np.array([0, 59_999, 17, 30_000], np.int32)
    for name in ("train", "test"):
        split, resident = streaming.splits[name], mnist.splits[name]
        assert isinstance(split, StreamedSplit) and isinstance(resident, ArraySplit)
        assert len(split) == len(resident)
        numbers = chosen % len(split)
        read = split.read(numbers.astype(np.int32))
        np.testing.assert_array_equal(read["inputs"], resident.inputs[numbers])
        np.testing.assert_array_equal(read["labels"], resident.labels[numbers])
    held_out = hold_out_validation(streaming.splits["train"], 1000, "mnist")["validation"]
    assert isinstance(held_out, StreamedSplit) and len(held_out) == 1000
    read = held_out.read(np.array([3], np.int32))
    np.testing.assert_array_equal(read["inputs"], mnist.splits["train"].inputs[[59_003]])


def test_emnist_is_turned_as_it_is_read(tmp_path: Path) -> None:
    """The same picture, the same class."""

    class Records:
        def __len__(self) -> int:
            return 1

        def __getitems__(self, numbers: list[int]) -> list[dict[str, Any]]:
            image = np.zeros((28, 20, 1), np.uint8)
            image[0] = 255  # The top row is the left column.
            return [{"image": image, "label": 26 if number == 0 else 0} for number in numbers]

    shape = (28, 20, 1)
    names = tuple("abcdefghijklmnopqrstuvwxyz")
    form = ImageFormat(shape, shape, names, first_label=1, on_its_side=True)
    source = TfdsSource(Records(), tmp_path, form)
    read = source.read(np.array([0], np.int32))
    assert read["labels"].tolist() == [25] and read["inputs"].shape == (1, 20, 28, 1)
    assert read["inputs"][0, :, 0].all() and not read["inputs"][0, :, 1:].any()
    with pytest.raises(UserError, match="an example has no label"):
        source.read(np.array([1], np.int32))
