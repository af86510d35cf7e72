"""Corrupted examples are functions of their numbers: in any batch, in memory, streamed, sharded."""

from typing import Any

import jax
import numpy as np
import pytest

from seqvision.data.corrupted_split import CorruptedSplit, Corruptions
from seqvision.data.corruptions import STRENGTHS
from seqvision.data.dataset import ArraySplit, Split, StreamedSplit
from seqvision.data.device_feed import evaluation_batches
from seqvision.data.step_layout import StepLayout
from seqvision.runtime.mesh import BATCH_SPEC, create_mesh, shard_function
from tests.data import slow_corruptions as slow

NAMES = tuple(STRENGTHS)


class Stored:
    """A source that reads the examples of a split in memory."""

    def __init__(self, split: ArraySplit) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def read(self, numbers: Any) -> dict[str, np.ndarray]:
        return self._split.read(numbers)


def streamed(split: ArraySplit, start: int = 0) -> StreamedSplit:
    return StreamedSplit(Stored(split), range(start, len(split)), split.inputs.shape[1:])


@pytest.fixture
def clips(rng: np.random.Generator) -> ArraySplit:
    """Clips of 1 to 6 frames."""
    lengths = np.tile(np.arange(1, 7, dtype=np.int32), 2)
    inputs = rng.integers(1, 256, (12, 6, 3, 5, 1), np.uint8)
    inputs[np.arange(6) >= lengths[:, None]] = 0
    return ArraySplit(inputs, np.arange(12, dtype=np.int32), lengths)


def expected_clip(clips: ArraySplit, number: int, name: str, strength: int) -> np.ndarray:
    """The frames of a corrupted clip, in a loop."""
    assert clips.lengths is not None
    clip, length = clips.inputs[number], int(clips.lengths[number])
    if name == "noise":
        words = slow.words_of(7, name, number, 90).reshape(6, 3, 5, 1)
        return slow.noisy(words[:length], clip[:length], length, strength)
    words = slow.words_of(7, name, number, 7)
    if name in slow.MOVING:
        return slow.moved(name, words, clip, length, strength)
    if name == "gain_drift":
        return slow.drifted(words, clip, length, strength)[:length]
    if name == "shift":
        return np.array([slow.shifted(words, f, [0, 1], strength) for f in clip[:length]])
    return np.array([slow.occluded(words, f, 5, strength) for f in clip[:length]])


def test_clips_are_functions_of_their_numbers(clips: ArraySplit) -> None:
    """Streamed from the middle of a source, in batches, on two devices."""
    mesh, corruptions = create_mesh(), Corruptions(StepLayout("frames"), NAMES, seed=7)
    part = clips.part(3, 12)
    split = CorruptedSplit(streamed(clips, 3), corruptions, mesh)
    take = jax.jit(shard_function(split.take, mesh, (BATCH_SPEC, BATCH_SPEC), BATCH_SPEC))
    for name in NAMES:
        for strength in (0, STRENGTHS[name][-1]):
            batches = evaluation_batches(split.at(name, strength), 6, mesh)
            read = [(take(arrays, indices), mask) for arrays, indices, mask in batches]
            assert len(read) == 2
            found, lengths, labels = (
                np.concatenate([np.asarray(batch[key])[mask] for batch, mask in read])
                for key in ("inputs", "lengths", "labels")
            )
            assert labels.tolist() == part.labels.tolist()
            for number in range(9):
                clip = expected_clip(part, number, name, strength)
                assert lengths[number] == len(clip)
                np.testing.assert_array_equal(found[number, : len(clip)], clip)
                assert not np.any(found[number, len(clip) :])
                if strength == 0:
                    np.testing.assert_array_equal(found[number, :6], part.inputs[number])


def test_a_network_of_so_many_steps_gets_as_many(clips: ArraySplit) -> None:
    names, mesh = ("drop", "delay"), create_mesh()
    split = CorruptedSplit(clips, Corruptions(StepLayout("frames"), names, 7, True), mesh)
    assert clips.lengths is not None
    for name in names:
        batch = jax.jit(split.take)(split.at(name, 200).arrays, np.arange(12))
        np.testing.assert_array_equal(batch["lengths"], clips.lengths)
        assert batch["inputs"].shape == clips.inputs.shape
        for number, length in enumerate(clips.lengths.tolist()):
            clip = expected_clip(clips, number, name, 200)[:length]
            np.testing.assert_array_equal(batch["inputs"][number, : len(clip)], clip)
            assert not np.any(batch["inputs"][number, len(clip) :])


def test_lines_lose_columns_and_the_places_of_their_symbols(rng: np.random.Generator) -> None:
    lengths = np.array([10, 3, 1, 7], np.int32)
    inputs = rng.integers(1, 256, (4, 4, 10, 1), np.uint8)
    inputs[np.broadcast_to(np.arange(10) >= lengths[:, None, None], inputs.shape[:3])] = 0
    arrays = {"inputs": inputs, "lengths": lengths, "ends": lengths[:, None], "labels": lengths}

    class Lines(Split):
        def __init__(self) -> None:
            self.arrays = arrays

    names = ("repeat", "occlusion")
    split = CorruptedSplit(Lines(), Corruptions(StepLayout("cnn_columns"), names, 7), create_mesh())
    take = jax.jit(split.take)
    for name in names:
        batch = take(split.at(name, 400).arrays, np.arange(4))
        assert sorted(batch) == ["inputs", "labels", "lengths"]
        assert batch["inputs"].shape == (4, 4, 14, 1)
        for number, length in enumerate(lengths.tolist()):
            words, line = slow.words_of(7, name, number, 11), inputs[number]
            if name == "occlusion":
                expected = slow.occluded(words, line, length, 400)[:, :length]
            else:
                columns = line.swapaxes(0, 1)
                expected = slow.moved(name, words, columns, length, 400).swapaxes(0, 1)
            assert int(batch["lengths"][number]) == expected.shape[1]
            found = batch["inputs"][number]
            np.testing.assert_array_equal(found[:, : expected.shape[1]], expected)
            assert not np.any(found[:, expected.shape[1] :])
