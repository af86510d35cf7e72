"""Clips of a blinking digit: blinks are counted again in the pixels; the rules of their configs."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs import shell_game
from seqvision.config.validation import validate
from seqvision.data.synthetic.clip_recipe import PARITIES
from seqvision.data.synthetic.moving_digits import moving_digits
from seqvision.errors import UserError
from seqvision.runs.trained_data import check_trained_with
from tests.data.making import grey_source, says
from tests.data.test_moving_digits import ELBOWS, MOTION, Clips, clips_of, split_of
from tests.inference.classifier_runs import run_of

PARITY = dataclasses.replace(
    MOTION, task="parity", num_frames=11, min_frames=3, turn=0.0, noise=0.02
)


@cache
def made(per_frame: bool) -> Clips:
    return clips_of(split_of(dataclasses.replace(PARITY, per_frame=per_frame)), 1000)


def is_away(clips: Clips) -> list[np.ndarray]:
    """Of each clip, in which of its own frames nothing is bright."""
    return [
        frames[:length].max(axis=(1, 2, 3)) < 60
        for frames, length in zip(clips["inputs"], clips["lengths"], strict=True)
    ]


def test_the_target_is_the_parity_of_the_blinks() -> None:
    clips, whole = made(per_frame=True), made(per_frame=False)
    np.testing.assert_array_equal(whole["inputs"], clips["inputs"])
    numbers = []
    for away, labels, label in zip(is_away(clips), clips["labels"], whole["labels"], strict=True):
        blinks = 0
        for frame, dark in enumerate(away):
            blinks += bool(dark)
            assert labels[frame] == blinks % 2
        assert label == blinks % 2
        assert (labels[len(away) :] == -1).all()
        numbers.append(blinks)
        # It is seen at first, in the end, and between any two blinks.
        assert not away[0] and not away[-1] and not (away[1:] & away[:-1]).any()
    assert {0, 1, 2, 3, 4, 5} == set(numbers)


def test_one_clip_in_two_of_each_length_is_odd() -> None:
    """Each of the (T - 1) // 2 frames that may be dark is so by itself, with probability 1/2."""
    clips = made(per_frame=False)
    for length in range(3, 12):
        odd = clips["labels"][clips["lengths"] == length]
        assert abs(odd.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(odd))


def test_a_network_is_bound_to_the_digits_and_not_to_the_length() -> None:
    source = grey_source(ELBOWS, ELBOWS)

    def facts(**looks: Any) -> Any:
        dataset = moving_digits(dataclasses.replace(PARITY, **looks), source, 0, {"train": 4})
        return dataset.class_names, dict(dataset.fingerprints)

    assert facts() == facts(num_frames=50, noise=0.3) == (PARITIES, dict(source.fingerprints))


def config_of(**changes: Any) -> Any:
    config = shell_game.get_config("parity")
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"clips.min_frames": 2}, "three frames at least"),
        ({"clips.turn": 5.0}, "config.clips.turn: 5 has no effect on the task parity"),
        ({"clips.task": "motion"}, "config.data.target"),
    ],
)
def test_configs_that_do_not_fit_are_one_line(changes: dict[str, Any], part: str) -> None:
    says(lambda: validate(config_of(**changes)), part)


def test_a_run_counts_in_longer_clips_but_in_no_other_picture() -> None:
    run = dataclasses.replace(run_of(), settings=validate(config_of()), workdir=Path("run"))
    check_trained_with(run, validate(config_of(**{"clips.num_frames": 100, "clips.noise": 0.2})))
    with pytest.raises(UserError, match=r"clips\.height was 20 and is 24; name its config"):
        check_trained_with(run, validate(config_of(**{"clips.height": 24})))
