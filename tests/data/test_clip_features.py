"""Features of clips: each frame computed once, kept through kills, damage and other processes."""

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.class_balance import train_labels
from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.features.clip_features import FeatureCache, with_features
from seqvision.data.features.extraction import Extractor
from seqvision.data.files.tones import Tones
from seqvision.data.targets import Targets
from seqvision.errors import UserError

FRAMES, BATCH = 5, 4


class Pretended(Extractor):
    """Its two features of a frame are its mean and its largest value; it counts its frames."""

    def __init__(self, name: str = "pretended", stop_after: int = 10**9) -> None:
        self.name, self.params, self.compute_dtype = name, {"a": np.ones(1)}, "float32"
        self.num_features, self.batch_size = 2, BATCH
        self.computed: list[bytes] = []
        self._stop_after = stop_after

    def start(self, frames: np.ndarray) -> Callable[[], np.ndarray]:
        if len(self.computed) + len(frames) > self._stop_after:
            raise KeyboardInterrupt
        self.computed += [frame.tobytes() for frame in frames]
        return lambda: np.stack([features(frame) for frame in frames])


def features(frame: np.ndarray) -> np.ndarray:
    return np.array([frame.mean(), frame.max()], np.float32)


def clips(seed: int, count: int) -> ArraySplit:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, FRAMES + 1, count).astype(np.int32)
    inputs = rng.integers(0, 256, (count, FRAMES, 3, 2, 1)).astype(np.uint8)
    inputs[np.arange(FRAMES) >= lengths[:, None]] = 0
    names = tuple(f"clip {number}" for number in range(count))
    labels = rng.integers(0, 2, count).astype(np.int32)
    groups = tuple(f"patient {number // 2}" for number in range(count))
    return ArraySplit(inputs, labels, lengths, names, groups)


def dataset(*seeds: int) -> Dataset:
    names = ("train", "validation", "test")
    splits = {name: clips(seed, 7) for name, seed in zip(names, seeds, strict=False)}
    prints = {name: split.fingerprint() for name, split in splits.items()}
    return Dataset("made", "1", ("a", "b"), splits, (FRAMES, 3, 2, 1), prints)


def cache(folder: Path, **changed: Any) -> FeatureCache:
    options = {"limit": 10**6, "resident_bytes": 10**6, "say": lambda line: None} | changed
    return FeatureCache(folder, **options)


def num_frames(data: Dataset) -> int:
    return sum(int(split.arrays["lengths"].sum()) for split in data.splits.values())


def check(found: Dataset, data: Dataset) -> None:
    """Compares with a loop over clips and frames."""
    assert found.input_shape == (FRAMES, 1, 1, 2)
    assert found.read_shape == data.input_shape
    for name, split in data.splits.items():
        batch = found.splits[name].read(np.arange(len(split), dtype=np.int32))
        np.testing.assert_array_equal(batch["labels"], split.labels)
        np.testing.assert_array_equal(batch["lengths"], split.lengths)
        assert found.splits[name].names == split.names
        assert found.splits[name].groups == split.groups
        for number, length in enumerate(split.lengths):
            for frame in range(FRAMES):
                expected = features(split.inputs[number, frame]) if frame < length else [0, 0]
                np.testing.assert_array_equal(batch["inputs"][number, frame, 0, 0], expected)


@pytest.mark.parametrize("resident_bytes", [10**6, 0])
def test_each_frame_is_computed_once(tmp_path: Path, resident_bytes: int) -> None:
    extractor, data = Pretended(), dataset(0, 1)
    kept = cache(tmp_path, resident_bytes=resident_bytes)
    check(with_features(data, extractor, kept), data)
    assert len(extractor.computed) == len(set(extractor.computed)) == num_frames(data)
    again = Pretended(stop_after=0)
    check(with_features(data, again, kept), data)
    # Another set of which half is known: only the other half is computed.
    other = dataset(1, 2)
    check(with_features(other, extractor, kept), other)
    assert len(extractor.computed) == len(set(extractor.computed))


def test_a_second_start_reads_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(0)
    with_features(data, Pretended(), cache(tmp_path))

    def read(self: ArraySplit, indices: Any) -> Any:
        raise AssertionError("frames are read")

    monkeypatch.setattr(ArraySplit, "read", read)
    with_features(data, Pretended(stop_after=0), cache(tmp_path))


def test_another_scale_or_other_targets_are_another_set(tmp_path: Path) -> None:
    """Fingerprints of streamed sets are of files, which may be scaled and read in two ways."""
    data = dataset(0)
    with_features(data, Pretended(), cache(tmp_path))
    split = data.splits["train"]
    assert isinstance(split, ArraySplit)
    halved = dataclasses.replace(split, inputs=split.inputs // 2)
    other = dataclasses.replace(data, splits={"train": halved}, tones=Tones((0.0, 512.0)))
    check(with_features(other, Pretended(), cache(tmp_path)), other)
    numbers = dataclasses.replace(split, labels=split.labels.astype(np.float32) + 0.5)
    other = dataclasses.replace(data, splits={"train": numbers}, targets=Targets("number"))
    check(with_features(other, Pretended(stop_after=0), cache(tmp_path)), other)


@pytest.mark.parametrize("resident_bytes", [10**6, 0])
def test_labels_of_all_examples_are_known(tmp_path: Path, resident_bytes: int) -> None:
    data = dataset(0)
    found = with_features(data, Pretended(), cache(tmp_path, resident_bytes=resident_bytes))
    labels = train_labels(found.splits["train"], "config.data.balanced_draws")
    np.testing.assert_array_equal(labels, train_labels(data.splits["train"], ""))


def test_killed_in_the_middle(tmp_path: Path) -> None:
    data, computed = dataset(0, 1), list[bytes]()
    for stop_after in (2 * BATCH, 2 * BATCH):
        killed = Pretended(stop_after=stop_after)
        with pytest.raises(KeyboardInterrupt):
            with_features(data, killed, cache(tmp_path))
        # The batch that was running when the kill came was not written yet.
        computed += killed.computed[:-BATCH]
    last = Pretended()
    check(with_features(data, last, cache(tmp_path)), data)
    computed += last.computed
    assert len(computed) == len(set(computed)) == num_frames(data)


@pytest.mark.parametrize("name", ["digests.bin", "features.bin"])
def test_a_torn_tail_is_cut_off(tmp_path: Path, name: str) -> None:
    data = dataset(0)
    with_features(data, Pretended(), cache(tmp_path))
    [file] = tmp_path.glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:-5])
    extractor = Pretended()
    check(with_features(data, extractor, cache(tmp_path)), data)
    assert len(extractor.computed) == 1


def test_damaged_features_are_computed_again(tmp_path: Path) -> None:
    data, said = dataset(0), list[str]()
    with_features(data, Pretended(), cache(tmp_path))
    [file] = tmp_path.glob("*/features.bin")
    content = bytearray(file.read_bytes())
    content[9] ^= 1
    file.write_bytes(content)
    extractor = Pretended()
    check(with_features(data, extractor, cache(tmp_path, say=said.append)), data)
    assert len(extractor.computed) == 1
    assert any("features of 1 frames were damaged" in line for line in said)


def test_two_at_once_compute_each_frame_once(tmp_path: Path) -> None:
    data = dataset(0, 1, 2)
    extractors = [Pretended(), Pretended()]
    threads = [
        threading.Thread(target=with_features, args=(data, one, cache(tmp_path)))
        for one in extractors
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    computed = [frame for one in extractors for frame in one.computed]
    assert len(computed) == len(set(computed)) == num_frames(data)


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    one, other, frame_bytes = dataset(0), dataset(1), 4 * 2 + 36
    limit = frame_bytes * (max(num_frames(one), num_frames(other)) + 2) + 20_000
    with_features(one, Pretended("first"), cache(tmp_path, limit=10**6))
    with_features(one, Pretended("second"), cache(tmp_path, limit=limit))
    small = cache(tmp_path, limit=frame_bytes * (num_frames(other) + 3) + 2000)
    check(with_features(other, Pretended("second"), small), other)
    assert not list(tmp_path.glob("first*"))
    with pytest.raises(UserError, match=r"config\.data\.feature_cache_bytes: 100 are too few"):
        with_features(dataset(3), Pretended("second"), cache(tmp_path, limit=100))
