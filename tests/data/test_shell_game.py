"""Shell games: swaps are read from the pixels, and a list of cups is swapped alike."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from configs import shell_game as shell_game_config
from seqvision.config.validation import validate
from seqvision.data.synthetic.clip_recipe import ShellGame
from seqvision.data.synthetic.shell_game import ShellGameSplit, shell_game
from seqvision.runs.evaluations import evaluation_changes, save_evaluation
from tests.inference.classifier_runs import run_of

RECIPE = ShellGame(
    cups=3,
    min_swaps=1,
    swaps=5,
    frames_per_swap=8,
    height=32,
    width=72,
    channels=1,
    noise=0.0,
    occlusion=0.0,
    per_frame=True,
)


def games(recipe: ShellGame, count: int = 30, first: int = 0) -> dict[str, np.ndarray]:
    numbers = np.arange(first, first + count, dtype=np.int32)
    return ShellGameSplit(recipe, 0, "train", 100).read(numbers)


def test_of_two_cups_each_swap_moves_the_ball() -> None:
    recipe = dataclasses.replace(RECIPE, cups=2, width=48, swaps=4)
    made = games(recipe, 12)
    for frames, labels, length in zip(
        made["inputs"][..., 0], made["labels"], made["lengths"], strict=True
    ):
        num_swaps = (length - 1) // 8
        start = int(np.argwhere(frames[0] == 255)[:, 1].mean() > 24)
        # Two cups: every swap moves the ball.
        expected = [(start + t // 8) % 2 if t < length else -1 for t in range(33)]
        np.testing.assert_array_equal(labels, expected)
        assert not frames[length:].any()
        assert 1 <= num_swaps <= 4


def test_labels_are_those_of_a_simulation_of_the_cups() -> None:
    made = games(RECIPE)
    for frames, labels, length in zip(
        made["inputs"][..., 0], made["labels"], made["lengths"], strict=True
    ):
        cups = ["ball" if frames[0, :, c : c + 24].max() == 255 else "" for c in (0, 24, 48)]
        for swap in range((length - 1) // 8):
            # Early in a swap the cup that stays is the only one whose middle has not moved.
            early = frames[2 + 8 * swap]
            stays = [early[12:20, c : c + 12].min() >= 150 for c in (6, 30, 54)]
            assert sum(stays) == 1, swap
            a, b = (place for place in range(3) if not stays[place])
            np.testing.assert_array_equal(labels[1 + 8 * swap : 8 + 8 * swap], cups.index("ball"))
            cups[a], cups[b] = cups[b], cups[a]
            assert labels[8 + 8 * swap] == cups.index("ball")
        np.testing.assert_array_equal(labels[length:], -1)


def test_a_game_is_a_function_of_its_number() -> None:
    whole, part = games(RECIPE, 8), games(RECIPE, 3, first=4)
    for name, array in part.items():
        np.testing.assert_array_equal(whole[name][4:7], array)


def test_the_label_of_a_clip_is_that_of_its_last_frame() -> None:
    steps = games(RECIPE)
    last = steps["labels"][np.arange(30), steps["lengths"] - 1]
    np.testing.assert_array_equal(
        games(dataclasses.replace(RECIPE, per_frame=False))["labels"], last
    )


def test_networks_are_bound_to_the_picture_and_not_to_the_swaps() -> None:
    def made(recipe: ShellGame) -> dict[str, str]:
        recipes = dict.fromkeys(("train", "test"), recipe)
        return dict(shell_game(recipes, 0, {"train": 4, "test": 4}).fingerprints)

    assert made(RECIPE) == made(dataclasses.replace(RECIPE, swaps=9, noise=0.2))
    assert made(RECIPE) != made(dataclasses.replace(RECIPE, cups=4))


def test_an_evaluation_says_in_what_it_differs_from_the_training(tmp_path: Path) -> None:
    config = shell_game_config.get_config()
    trained = dataclasses.replace(run_of(), settings=validate(config), workdir=tmp_path)
    # What is of the training alone, or of another split, changes nothing.
    config.clips.train_swaps, config.clips.validation_clips = 2, 4
    config.data.eval_batch_size, config.optimizer.learning_rate = 2, 1.0
    assert evaluation_changes(trained, validate(config), "test") == {}
    config.clips.swaps, config.clips.noise = 64, 0.0
    changes = evaluation_changes(trained, validate(config), "test")
    assert changes == {"clips.swaps": 64, "clips.noise": 0.0}
    save_evaluation(trained, "test", {"count": 7}, changes)
    record = json.loads((tmp_path / "evaluation_test.json").read_text())
    assert record == {"split": "test", "step": 1, "seed": 0, "changes": changes, "count": 7}
