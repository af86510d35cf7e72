"""Windows against plain Python loops."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

from seqvision.data.preprocessing import (
    frame_ranges,
    random_windows,
    sliding_windows,
    window_starts,
)

T = 20
LENGTHS = np.arange(1, T + 1, dtype=np.int32)

cut_all = jax.jit(sliding_windows, static_argnums=(2, 3))


@partial(jax.jit, static_argnums=3)
def cut_one(key: Any, clips: Any, lengths: Any, size: int) -> Any:
    return random_windows(jax.random.split(key, len(clips)), clips, lengths, size)


# (size, stride): steps that reach the end and that do not, gaps, one frame, whole clips and more.
CUTS = [(1, 7), (4, 1), (4, 4), (5, 2), (4, 6), (20, 5), (27, 40)]
CUTS_AND_TYPES = [(*cut, np.uint8) for cut in CUTS] + [(5, 2, np.float32)]


def starts_by_rule(length: int, size: int, stride: int) -> list[int]:
    """Steps of `stride` while whole windows fit, then one that ends with the clip if need be."""
    starts = [0]
    while starts[-1] + stride + size <= length:
        starts.append(starts[-1] + stride)
    if starts[-1] + size < length:
        starts.append(length - size)
    return starts


def clips_of(lengths: np.ndarray, num_frames: int, dtype: type) -> np.ndarray:
    """Clips (B, T, 2, 1, 1): a frame shows the numbers of its clip and of itself, from 1."""
    clips = np.zeros((len(lengths), num_frames, 2, 1, 1), dtype)
    for clip, length in enumerate(lengths):
        clips[clip, :length, 0] = clip + 1
        clips[clip, :length, 1, 0, 0] = 1 + np.arange(length)
    return clips


# --- every window ---


def test_starts_follow_the_rule() -> None:
    for length in range(1, T + 1):
        for size in range(1, T + 3):
            for stride in range(1, T + 3):
                expected = starts_by_rule(length, size, stride)
                assert list(window_starts(length, size, stride)) == expected
                ranges = [(start, min(start + size, length)) for start in expected]
                assert frame_ranges(length, size, stride) == ranges


def test_every_frame_is_in_a_window_unless_steps_leave_gaps() -> None:
    for length in range(1, T + 1):
        for size in range(1, T + 3):
            for stride in range(1, size + 1):
                ranges = frame_ranges(length, size, stride)
                assert {frame for first, end in ranges for frame in range(first, end)} == set(
                    range(length)
                )


@pytest.mark.parametrize(("size", "stride", "dtype"), CUTS_AND_TYPES)
def test_sliding_windows_are_those_of_a_loop(size: int, stride: int, dtype: type) -> None:
    clips = clips_of(LENGTHS, T, dtype)
    num_windows = len(starts_by_rule(T, size, stride))
    windows = np.zeros((T, num_windows, size, 2, 1, 1), dtype)
    lengths = np.zeros((T, num_windows), np.int32)
    mask = np.zeros((T, num_windows), bool)
    starts = np.zeros((T, num_windows), np.int32)
    for clip, length in enumerate(LENGTHS):
        for window, start in enumerate(starts_by_rule(length, size, stride)):
            frames = clips[clip, start : start + size][:length]
            windows[clip, window, : len(frames)] = frames
            lengths[clip, window] = min(size, length)
            mask[clip, window] = True
            starts[clip, window] = start

    found = cut_all(clips, LENGTHS, size, stride)
    for array, expected in zip(found, (windows, lengths, mask, starts), strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def test_frames_after_a_clips_end_are_in_no_window() -> None:
    rubbish = np.full((1, 6, 1, 1, 1), 9, np.uint8)
    windows, *_ = cut_all(rubbish, np.array([2], np.int32), 4, 1)
    np.testing.assert_array_equal(windows[0, :, :, 0, 0, 0], [[9, 9, 0, 0], [0] * 4, [0] * 4])


# --- one window at random ---


@pytest.mark.parametrize(("size", "dtype"), [(1, np.float32), (5, np.uint8), (27, np.uint8)])
def test_random_windows_are_slices(size: int, dtype: type) -> None:
    clips = clips_of(LENGTHS, T, dtype)
    windows, lengths = cut_one(jax.random.key(0), clips, LENGTHS, size)
    assert windows.shape == (T, min(size, T), 2, 1, 1)
    assert windows.dtype == dtype
    np.testing.assert_array_equal(lengths, np.minimum(LENGTHS, size))
    for clip, length, window in zip(clips, LENGTHS, np.asarray(windows), strict=True):
        starts = range(max(length - size, 0) + 1)
        assert any(np.array_equal(window, clip[start:][: min(size, T)]) for start in starts)


def test_short_clips_are_whole_with_zeros_after() -> None:
    clips = clips_of(LENGTHS, T, np.uint8)
    windows, _ = cut_one(jax.random.key(0), clips, LENGTHS, 5)
    np.testing.assert_array_equal(windows[:5], clips[:5, :5])
    assert not np.asarray(windows)[2, 3:].any()


def test_random_starts_are_uniform() -> None:
    size = 5
    lengths = np.repeat(np.array([6, 12, 20], np.int32), 3000)
    frames = np.tile(np.arange(T, dtype=np.uint8), (len(lengths), 1))[..., None, None, None]
    windows, _ = cut_one(jax.random.key(1), frames, lengths, size)
    starts = np.asarray(windows)[:, 0, 0, 0, 0]
    for length in (6, 12, 20):
        counts = np.bincount(starts[lengths == length])
        assert len(counts) == length - size + 1
        assert stats.chisquare(counts).pvalue > 1e-3


def test_random_windows_are_a_function_of_the_key() -> None:
    clips = clips_of(LENGTHS, T, np.uint8)
    first, again, other = (
        np.asarray(cut_one(jax.random.key(seed), clips, LENGTHS, 5)[0]) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
