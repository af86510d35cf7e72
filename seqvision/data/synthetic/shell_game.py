"""Shell games, made on the devices: which cup is the ball under?"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array

from seqvision.data.dataset import SPLITS, Dataset
from seqvision.data.synthetic.clip_recipe import ShellGame
from seqvision.data.synthetic.made_split import MadeArrays, MadeSplit, make
from seqvision.data.synthetic.shell_drawing import draw_game
from seqvision.data.targets import CLASSES, Targets
from seqvision.shapes import Count, PRNGKey


class ShellGameSplit(MadeSplit):
    """The games of one split.

    Args:
      recipe: how the games look.
      seed, split: what the random numbers are drawn from.
      num_games: how many there are.
    """

    def __init__(self, recipe: ShellGame, seed: int, split: str, num_games: int) -> None:
        no_digits, no_labels = np.zeros((0, 1, 1), np.uint8), np.zeros(0, np.int32)
        super().__init__((recipe,), no_digits, no_labels, seed, split, num_games)
        self.example_bytes = recipe.num_frames * recipe.height * recipe.width * recipe.channels

    @staticmethod
    def take(arrays: MadeArrays, indices: Any) -> dict[str, Any]:
        """The games with these numbers (B,); see `made_split.make`.

        Returns:
          `inputs` (B, T, height, width, channels) uint8, `labels` (B,) int32, where `per_frame`
          (B, T), and `lengths` (B,) int32; frames after them are 0.
        """
        (recipe,) = arrays.recipe

        def game(digits: Array, labels: Array, key: PRNGKey, index: Count) -> dict[str, Array]:
            return draw_game(recipe, key)

        return make(game, arrays, indices)


def shell_game(
    recipes: Mapping[str, ShellGame], seed: int, num_games: Mapping[str, int]
) -> Dataset:
    """Makes shell games.

    Args:
      recipes: how they look, by split; all of as many cups, in pictures of one size.
      seed: what the random numbers are drawn from.
      num_games: by split. Splits with none are left out.

    Returns:
      Games; the classes are the places from left to right. The fingerprints are of what a network
      is bound to: it may be evaluated on games of other lengths and looks.
    """
    one = recipes["test"]
    bound = (one.cups, one.height, one.width, one.channels, seed)
    return Dataset(
        name="shell_game",
        version="1",
        class_names=tuple(str(place) for place in range(1, one.cups + 1)),
        splits={
            name: ShellGameSplit(recipes[name], seed, name, num_games[name])
            for name in SPLITS
            if num_games.get(name)
        },
        input_shape=(one.num_frames, one.height, one.width, one.channels),
        fingerprints={
            name: hashlib.sha256(repr(("shell_game", bound, name)).encode()).hexdigest()
            for name in SPLITS
        },
        targets=Targets("steps") if one.per_frame else CLASSES,
    )
