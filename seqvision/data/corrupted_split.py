"""A split whose examples are corrupted on the devices, each in its own way."""

import copy
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import UInt8

from seqvision.data.corruptions import (
    LENGTHENING,
    STRENGTHS,
    TIME,
    gain_drift,
    noise,
    occlusion,
    shift,
)
from seqvision.data.dataset import Split
from seqvision.data.step_layout import StepLayout
from seqvision.data.synthetic.random_integers import words
from seqvision.runtime.mesh import replicated
from seqvision.runtime.random_keys import key_of
from seqvision.runtime.transfer import to_devices
from seqvision.shapes import BatchIndices, Count, Indices, PRNGKey

# Where symbols stand; steps may have moved.
_PLACES = ("starts", "ends")


@dataclasses.dataclass(frozen=True)
class Corruptions:
    """What can be done to an example: a function of (seed, corruption, its number in its split).

    Attributes:
      layout: where the network's time steps lie.
      names: some of `corruptions.STRENGTHS`.
      seed: what the random words are drawn from.
      keeps_length: the network needs a fixed number of steps: empty ones take the place of those
        that are lost, and what does not fit is cut off. So it is with all images.
    """

    layout: StepLayout
    names: tuple[str, ...]
    seed: int = 0
    keeps_length: bool = False

    def batch(
        self, batch: dict[str, Array], numbers: BatchIndices, kind: Count, strength: Count
    ) -> dict[str, Array]:
        """Corrupts a batch; jax can trace it, with any `kind` and `strength` in one program.

        Args:
          batch: see `dataset.Split.take`.
          numbers: (B,), of its examples in their split.
          kind: which of the names.
          strength: in thousandths, at most the strongest of that corruption.

        Returns:
          The batch without the places of symbols. Clips and lines have room for steps that come
          in addition.
        """
        inputs, lengths = batch["inputs"], batch.get("lengths")
        one = jax.ShapeDtypeStruct(inputs.shape[1:], inputs.dtype)
        num_steps: int = jax.eval_shape(self.layout.steps, one).shape[0]
        keeps_length, room = self.keeps_length or lengths is None, num_steps
        if lengths is None:
            lengths = jnp.full(len(inputs), num_steps, jnp.int32)
        if not keeps_length:
            most = (STRENGTHS[name][-1] for name in self.names if name in LENGTHENING)
            room += -(-num_steps * max(most, default=0) // 1000)
        places = jnp.asarray([list(STRENGTHS).index(name) for name in self.names])
        branches = [
            jax.vmap(functools.partial(self._example, name, keeps_length, room))
            for name in self.names
        ]

        def key(number: Count) -> PRNGKey:
            return jax.random.fold_in(key_of(self.seed, "corruption", number), places[kind])

        strengths = jnp.full(len(inputs), strength)
        keys = jax.vmap(key)(numbers)
        inputs, lengths = jax.lax.switch(kind, branches, inputs, lengths, keys, strengths)
        corrupted = {name: array for name, array in batch.items() if name not in _PLACES}
        corrupted |= {"inputs": inputs}
        return corrupted | ({"lengths": lengths} if "lengths" in batch else {})

    def _example(
        self,
        name: str,
        keeps_length: bool,
        room: int,
        example: UInt8[Array, "..."],
        length: Count,
        key: PRNGKey,
        strength: Count,
    ) -> tuple[UInt8[Array, "..."], Count]:
        steps = self.layout.steps(example)
        num_steps, *step_shape = steps.shape
        # Noise alone needs more words than there are steps.
        (drawn,) = words(key, list(steps.shape) if name == "noise" else [num_steps + 1])
        if name in TIME:
            source, new_length = TIME[name](drawn, length, strength, room)
            if keeps_length:
                source, new_length = jnp.where(jnp.arange(room) < length, source, -1), length
            there = (source >= 0).reshape(-1, *[1] * len(step_shape))
            moved = jnp.where(there, steps[jnp.maximum(source, 0)], 0)
            return self.layout.example(moved, example.shape), new_length
        if name in ("gain_drift", "noise"):
            steps = (noise if name == "noise" else gain_drift)(drawn, steps, length, strength)
        padded = jnp.pad(steps, [(0, room - num_steps), *[(0, 0)] * len(step_shape)])
        picture = self.layout.example(padded, example.shape)
        if name in ("gain_drift", "noise"):
            return picture, length
        if name == "shift":
            return shift(drawn, picture, self.layout.across, strength), length
        # Of lines, and of images read by columns, the steps are the columns.
        width = length if self.layout.across == (-3,) else jnp.int32(example.shape[-2])
        return occlusion(drawn, picture, width, strength), length


class CorruptedSplit(Split):
    """The examples of a split, all with one corruption of one strength; see `at`.

    Args:
      split: of any kind.
      corruptions: what can be done to its examples.
      mesh: the devices, which then hold the examples that are not streamed.
    """

    def __init__(self, split: Split, corruptions: Corruptions, mesh: Mesh) -> None:
        self._split, self._corruptions = split, corruptions
        self.names, self.is_streamed = split.names, split.is_streamed
        self._examples = None if split.is_streamed else to_devices(split.arrays, replicated(mesh))
        self._kind, self._strength = np.int32(0), np.int32(0)

    def at(self, name: str, strength: int) -> "CorruptedSplit":
        """With this corruption, one of those it was made with, and strength in thousandths."""
        other = copy.copy(self)
        other._kind = np.int32(self._corruptions.names.index(name))
        other._strength = np.int32(strength)
        return other

    @property
    def arrays(self) -> Any:
        if self.is_streamed:
            return None
        return {"examples": self._examples, "kind": self._kind, "strength": self._strength}

    def __len__(self) -> int:
        return len(self._split)

    @property
    def num_bytes(self) -> int:
        return self._split.num_bytes

    def read(self, indices: Indices) -> dict[str, np.ndarray]:
        """Of streamed examples: uncorrupted, with what `take` needs to corrupt them."""
        if not self.is_streamed:
            return super().read(indices)
        condition = {"kind": self._kind, "strength": self._strength}
        each = {name: np.full(len(indices), value) for name, value in condition.items()}
        return self._split.read(indices) | each | {"number": np.asarray(indices, np.int32)}

    # It needs no more than the corruptions, which are the same for all that `at` returns.
    def take(self, arrays: Any, indices: Any) -> dict[str, Any]:  # type: ignore[override]
        """See `Split.take`; the same function for all corruptions and strengths."""
        if not self.is_streamed:
            batch = self._split.take(arrays["examples"], indices)
            numbers, kind, strength = jnp.asarray(indices), arrays["kind"], arrays["strength"]
        else:
            batch = self._split.take(arrays, indices)
            numbers, kind, strength = (batch.pop(name) for name in ("number", "kind", "strength"))
            kind, strength = kind[0], strength[0]
        return self._corruptions.batch(batch, numbers, jnp.asarray(kind), jnp.asarray(strength))
