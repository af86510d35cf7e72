"""What a network is trained for: what training makes small, and what is recorded of it."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array

from seqvision.shapes import Logits, Mask, PerExample, StepLogits
from seqvision.tasks.losses import cross_entropy, ctc, fits, last_step, step_cross_entropy
from seqvision.tasks.metrics import Metrics, Sums, TextSums


@runtime_checkable
class Objective(Protocol):
    """A task. Batches are as `data.dataset.Split.take` gives them."""

    def zeros(self) -> Any:
        """The sums of no examples."""

    def losses(self, logits: Any, batch: dict[str, Array]) -> PerExample:
        """What training makes small, one value per example."""

    def sums(self, logits: Any, batch: dict[str, Array], losses: PerExample, mask: Mask) -> Any:
        """What is recorded of the examples whose `mask` is True, and whose `losses` are known."""

    def row(self, sums: Any) -> dict[str, float]:
        """The same as means, on the host."""


@dataclasses.dataclass(frozen=True)
class Classification:
    """To name images or clips.

    Attributes:
      num_classes: K.
      label_smoothing, step_weight: see `tasks.losses.step_cross_entropy`.
    """

    num_classes: int
    label_smoothing: float = 0.0
    step_weight: float = 0.0

    def zeros(self) -> Sums:
        return Sums.zeros(self.num_classes)

    def losses(self, logits: Logits | StepLogits, batch: dict[str, Array]) -> PerExample:
        labels = batch["labels"]
        if logits.ndim == 3:
            return step_cross_entropy(
                logits, labels, batch.get("lengths"), self.step_weight, self.label_smoothing
            )
        return cross_entropy(logits, labels, self.label_smoothing)

    def sums(
        self,
        logits: Logits | StepLogits,
        batch: dict[str, Array],
        losses: PerExample,
        mask: Mask,
    ) -> Sums:
        # Without smoothing, and of the last step alone: these losses say how good the network is.
        last, labels = last_step(logits, batch.get("lengths")), batch["labels"]
        return Sums.of(last, cross_entropy(last, labels), labels, mask)

    def row(self, sums: Sums) -> dict[str, float]:
        return Metrics.of(sums).row()


@dataclasses.dataclass(frozen=True)
class TextReading:
    """To read lines of writing.

    Attributes:
      delay: see `models.line_reader.LineReader`.
    """

    delay: int

    def zeros(self) -> TextSums:
        return TextSums.zeros()

    def losses(self, logits: StepLogits, batch: dict[str, Array]) -> PerExample:
        return ctc(
            logits,
            batch["lengths"] + self.delay,
            batch["labels"],
            batch["label_lengths"],
            batch.get("ends"),
            self.delay,
        )

    def sums(
        self, logits: StepLogits, batch: dict[str, Array], losses: PerExample, mask: Mask
    ) -> TextSums:
        unfit = mask & ~self.fits(batch)
        return TextSums(
            loss=jnp.where(mask, losses, 0.0).sum(),
            count=mask.sum(dtype=jnp.int32),
            unfit=unfit.sum(dtype=jnp.int32),
        )

    def row(self, sums: TextSums) -> dict[str, float]:
        return sums.row()

    def fits(self, batch: dict[str, Array]) -> Mask:
        """See `tasks.losses.fits`."""
        return fits(batch["lengths"] + self.delay, batch["labels"], batch["label_lengths"])
