"""A split whose examples are made on the devices from images of digits."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqvision.data.dataset import Dataset, Split
from seqvision.errors import UserError
from seqvision.runtime.transfer import shareable
from seqvision.shapes import Count, Indices


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MadeArrays:
    """What examples are a function of, besides their numbers: a tree of three arrays.

    Attributes:
      digits: (num_digits, height, width) uint8.
      labels: (num_digits,) int32.
      key: (2,) uint32, the data of a random key.
      recipe: how the examples look. To jax it is part of the tree's structure, so that a program
        is compiled for one recipe, and takes any split of it.
    """

    digits: Any
    labels: Any
    key: Any
    recipe: tuple[Any, ...] = dataclasses.field(metadata={"static": True})


class MadeSplit(Split):
    """One split: example i is a pure function of (recipe, digits, seed, split, i).

    Args:
      recipe, digits, labels: see `MadeArrays`.
      seed, split: what the random numbers are drawn from.
      num_examples: how many there are.
    """

    def __init__(
        self,
        recipe: tuple[Any, ...],
        digits: np.ndarray,
        labels: np.ndarray,
        seed: int,
        split: str,
        num_examples: int,
    ) -> None:
        self._num_examples = num_examples
        self._made_of = (*recipe, seed, split, num_examples, digits.shape)
        random = hashlib.sha256(repr((seed, split)).encode()).digest()
        key = np.frombuffer(random, "<u4", count=2).astype(np.uint32)
        self.arrays = MadeArrays(shareable(digits), labels, key, recipe)

    def __len__(self) -> int:
        return self._num_examples

    def read(self, indices: Indices) -> dict[str, np.ndarray]:
        """See `Split.read`; as one program, since each operation alone would be compiled, too."""
        return jax.device_get(jax.jit(self.take)(self.arrays, np.asarray(indices)))

    def fingerprint(self) -> str:
        """SHA-256 of the recipe, the seed, the split, the count and the digits."""
        digest = hashlib.sha256(repr(self._made_of).encode())
        for array in (self.arrays.digits, self.arrays.labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def make(
    draw: Callable[[Array, Array, Array, Count], dict[str, Array]], arrays: MadeArrays, indices: Any
) -> dict[str, Array]:
    """The examples with these numbers (B,): the same bits in any batch and on any device.

    Args:
      draw: makes one example of the digits, their labels, its key and its number.
      arrays: of a split.
      indices: numbers in the split.
    """
    split_key = jax.random.wrap_key_data(jnp.asarray(arrays.key), impl="threefry2x32")
    digits, labels = jnp.asarray(arrays.digits), jnp.asarray(arrays.labels)

    def example(index: Count) -> dict[str, Array]:
        return draw(digits, labels, jax.random.fold_in(split_key, index), index)

    return jax.vmap(example)(jnp.asarray(indices))


def check_grey(source: Dataset, made: str) -> None:
    """Raises UserError where examples (`made`: their name) cannot be made of a set."""
    if source.of_clips or source.input_shape[-1] != 1:
        shape = "x".join(map(str, source.input_shape))
        raise UserError(
            f"config.data.name: {made} are made of grey images, and {source.name} has {shape};"
            " choose a grey set, such as mnist"
        )
