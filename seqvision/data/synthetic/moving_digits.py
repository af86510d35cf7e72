"""Clips of one moving digit, made on the devices from still images."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array
from PIL import Image

from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.synthetic.clip_drawing import draw_clip
from seqvision.data.synthetic.clip_recipe import PARITIES, MovingDigits
from seqvision.data.synthetic.made_split import MadeArrays, MadeSplit, check_grey, make
from seqvision.data.targets import CLASSES, Targets
from seqvision.shapes import Count, HostImages, HostLabels, PRNGKey


class MovingDigitsSplit(MadeSplit):
    """The clips of one split.

    Args:
      recipe: how the clips look.
      images: grey digits, (N, height, width, 1); the clips show no others.
      labels: which digits they are, (N,).
      seed, split: what the random numbers are drawn from.
      num_clips: how many clips there are.
    """

    def __init__(
        self,
        recipe: MovingDigits,
        images: HostImages,
        labels: HostLabels,
        seed: int,
        split: str,
        num_clips: int,
    ) -> None:
        digits = _scaled(images, recipe.digit_size)
        super().__init__((recipe,), digits, labels, seed, split, num_clips)
        self.example_bytes = recipe.num_frames * recipe.height * recipe.width * recipe.channels

    @staticmethod
    def take(arrays: MadeArrays, indices: Any) -> dict[str, Any]:
        """The clips with these numbers (B,); see `made_split.make`.

        Returns:
          `inputs` (B, T, height, width, channels) uint8, `labels` (B,) int32 (of `directions`, and
          where `per_frame`, (B, T), see `targets.Targets`) and `lengths` (B,) int32; frames after
          them are 0.
        """
        (recipe,) = arrays.recipe

        def clip(digits: Array, labels: Array, key: PRNGKey, index: Count) -> dict[str, Array]:
            return draw_clip(recipe, digits, labels, key)

        return make(clip, arrays, indices)


def moving_digits(
    recipe: MovingDigits, source: Dataset, seed: int, num_clips: Mapping[str, int]
) -> Dataset:
    """Makes clips of a set of digits.

    Args:
      recipe: how the clips look.
      source: grey images; the clips of a split are made of the digits of that split.
      seed: what the random numbers are drawn from.
      num_clips: by split. Splits with none, here or in the source, are left out.

    Raises:
      UserError: the source's images are not grey.
    """
    check_grey(source, "clips")
    splits = {
        name: MovingDigitsSplit(recipe, split.inputs, split.labels, seed, name, num_clips[name])
        for name, split in source.splits.items()
        if num_clips.get(name) and isinstance(split, ArraySplit)
    }
    fingerprints = {name: split.fingerprint() for name, split in splits.items()}
    if recipe.task == "parity":  # A network may count in clips of other lengths and looks.
        fingerprints = dict(source.fingerprints)
    names = {"digit": source.class_names, "parity": PARITIES}
    per_frame = recipe.per_frame or recipe.task == "directions"
    return dataclasses.replace(
        source,
        fingerprints=fingerprints,
        class_names=names.get(recipe.task, recipe.motions),
        targets=Targets("steps") if per_frame else CLASSES,
        splits=splits,
        input_shape=(recipe.num_frames, recipe.height, recipe.width, recipe.channels),
    )


def _scaled(images: HostImages, size: int) -> np.ndarray:
    """Grey images as (N, size, size), averaged where they shrink."""
    grey = images[..., 0]
    if grey.shape[1:] == (size, size):
        return grey
    images_of_size = [
        Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS) for image in grey
    ]
    return np.stack([np.asarray(image) for image in images_of_size])
