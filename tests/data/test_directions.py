"""Clips of digits that turn now and then: each frame's label is found again in the pixels."""

import numpy as np
import pytest

from seqvision.data.synthetic.clip_recipe import MovingDigits
from seqvision.data.synthetic.moving_digits import MovingDigitsSplit

RECIPE = MovingDigits(
    task="directions",
    num_frames=12,
    min_frames=6,
    height=16,
    width=18,
    channels=1,
    digit_size=8,
    speed=3.0,
    turn=0.0,
    noise=0.0,
    occlusion=0.0,
)


def test_the_label_of_each_frame_is_the_way_that_the_digit_moved_to_it() -> None:
    digits = np.random.default_rng(0).integers(50, 256, (5, 8, 8, 1)).astype(np.uint8)
    split = MovingDigitsSplit(RECIPE, digits, np.arange(5, dtype=np.int32), 3, "train", 40)
    clips = split.read(np.arange(40, dtype=np.int32))
    ways = {(0, -3): 0, (0, 3): 1, (-3, 0): 2, (3, 0): 3}
    changes = 0
    for clip, labels, length in zip(
        clips["inputs"][..., 0].astype(int), clips["labels"], clips["lengths"], strict=True
    ):
        assert labels[0] == -1 and (labels[length:] == -1).all()
        for t in range(1, length):
            errors = {
                way: np.abs(np.roll(clip[t - 1], way, axis=(0, 1)) - clip[t]).sum() for way in ways
            }
            assert labels[t] == ways[min(errors, key=errors.__getitem__)]
            assert min(errors.values()) == 0  # Whole pixels: the same picture elsewhere.
            changes += t > 1 and labels[t] != labels[t - 1]
    known = clips["labels"][clips["labels"] >= 0]
    assert set(known) == {0, 1, 2, 3}
    # One in four of the frames behind the second begins another direction.
    assert changes / (len(known) - 40) == pytest.approx(0.25, abs=0.06)
