"""Clips of one moving digit, made on the devices from still images."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image

from seqvision.data.dataset import ArraySplit, Dataset, ResidentSplit
from seqvision.data.synthetic.clip_drawing import draw_clip
from seqvision.data.synthetic.clip_recipe import MovingDigits
from seqvision.errors import UserError
from seqvision.shapes import Count, HostImages, HostLabels


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ClipArrays:
    """What clips are a function of, besides their numbers: a tree of three arrays.

    Attributes:
      digits: (N, size, size) uint8.
      labels: (N,) int32.
      key: (2,) uint32, the data of a random key.
      recipe: how the clips look. To jax it is part of the tree's structure, so that a program is
        compiled for one recipe, and takes any split of it.
    """

    digits: Any
    labels: Any
    key: Any
    recipe: MovingDigits = dataclasses.field(metadata={"static": True})


class MovingDigitsSplit(ResidentSplit):
    """The clips of one split: clip i is a pure function of (recipe, digits, seed, split, i).

    Attributes:
      arrays: the split's digits, scaled, and its key.
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
        """Scales the digits.

        Args:
          recipe: how the clips look.
          images: grey digits, (N, height, width, 1); the clips show no others.
          labels: which digits they are, (N,).
          seed, split: what the random numbers are drawn from.
          num_clips: how many clips there are.
        """
        self._seed, self._split, self._num_clips = seed, split, num_clips
        random = hashlib.sha256(repr((seed, split)).encode()).digest()
        self.arrays = ClipArrays(
            digits=_scaled(images, recipe.digit_size),
            labels=labels,
            key=np.frombuffer(random, "<u4", count=2).astype(np.uint32),
            recipe=recipe,
        )

    def __len__(self) -> int:
        return self._num_clips

    def fingerprint(self) -> str:
        """SHA-256 of the recipe, the seed, the split, the count and the digits."""
        digits, labels, recipe = self.arrays.digits, self.arrays.labels, self.arrays.recipe
        made_of = (recipe, self._seed, self._split, self._num_clips, digits.shape)
        digest = hashlib.sha256(repr(made_of).encode())
        for array in (digits, labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @staticmethod
    def take(arrays: ClipArrays, indices: Any) -> dict[str, Any]:
        """The clips with these numbers (B,): the same bits in any batch and on any device.

        Returns:
          `inputs` (B, T, height, width, channels) uint8, `labels` (B,) int32 and `lengths` (B,)
          int32; frames after them are 0.
        """
        split_key = jax.random.wrap_key_data(jnp.asarray(arrays.key), impl="threefry2x32")
        digits, labels = jnp.asarray(arrays.digits), jnp.asarray(arrays.labels)

        def clip(index: Count) -> dict[str, Array]:
            return draw_clip(arrays.recipe, digits, labels, jax.random.fold_in(split_key, index))

        return jax.vmap(clip)(jnp.asarray(indices))


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
    if source.of_clips or source.input_shape[-1] != 1:
        shape = "x".join(map(str, source.input_shape))
        raise UserError(
            f"config.clips.task: '{recipe.task}' clips are made of grey images, and {source.name}"
            f" has {shape}; choose a grey set, such as mnist, with config.data.name"
        )
    splits = {
        name: MovingDigitsSplit(recipe, split.inputs, split.labels, seed, name, num_clips[name])
        for name, split in source.splits.items()
        if num_clips.get(name) and isinstance(split, ArraySplit)
    }
    return dataclasses.replace(
        source,
        fingerprints={name: split.fingerprint() for name, split in splits.items()},
        class_names=recipe.motions if recipe.task == "motion" else source.class_names,
        splits=splits,
        input_shape=(recipe.num_frames, recipe.height, recipe.width, recipe.channels),
    )


def _scaled(images: HostImages, size: int) -> np.ndarray:
    """Grey images as (N, size, size), averaged where they shrink."""
    grey = images[..., 0]
    if grey.shape[1:] == (size, size):
        return grey
    scaled = np.empty((len(grey), size, size), np.uint8)
    for index, image in enumerate(grey):
        scaled[index] = np.asarray(
            Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
        )
    return scaled
