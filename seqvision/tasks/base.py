"""The interface of a task: what a network is trained for, and what it is judged by."""

import abc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import flax.linen as nn
import numpy as np
from jax import Array
from jax.sharding import Mesh

from seqvision.data.dataset import Split
from seqvision.errors import UserError
from seqvision.metrics.scores import Scores
from seqvision.shapes import Mask, PerExample

Take = Callable[[Any, Any], dict[str, Any]]
"""See `data.dataset.Split.take`."""

Keep = Callable[[Any, Any], None]
"""Called with the prediction and the label of each example, in order."""


@runtime_checkable
class Metrics(Protocol):
    """Metrics of a set of examples."""

    @property
    def score(self) -> float:
        """What decides which weights are the best: the higher the better."""

    def row(self) -> dict[str, Any]:
        """What is recorded, by name."""


@runtime_checkable
class Evaluation(Protocol):
    """Evaluates a whole split, each example once whatever the batch size."""

    def __call__(self, params: Any, split: Split, keep: Keep | None = None) -> Metrics: ...


class Task(abc.ABC):
    """A task. Batches are as `data.dataset.Split.take` gives them.

    Attributes:
      outputs: what the network's outputs stand for.
      reads_lines: whether its inputs are lines of writing rather than images or clips.
      labels_steps: whether each frame of a clip has a label, `labels` (B, T).
    """

    outputs: ClassVar[str]
    reads_lines: ClassVar[bool] = False
    labels_steps: ClassVar[bool] = False

    @abc.abstractmethod
    def create_model(self, **fields: Any) -> nn.Module:
        """The network.

        Args:
          fields: those of `config.model`, and the `axis_name` of `models.create_model`.
        """

    # --- training ---

    @abc.abstractmethod
    def zeros(self) -> Any:
        """The sums of no examples, a tree of arrays that can be added."""

    @abc.abstractmethod
    def losses(self, logits: Any, batch: dict[str, Array]) -> PerExample:
        """The loss of each example, (B,)."""

    def num_targets(self, batch: dict[str, Array]) -> PerExample | None:
        """How many known targets the loss of each example is a mean of, (B,).

        None where each has one: the loss of a batch is the mean over its targets.
        """
        return None

    @abc.abstractmethod
    def sums(self, logits: Any, batch: dict[str, Array], losses: PerExample, mask: Mask) -> Any:
        """What is summed over the examples whose `mask` is True, with their known `losses`."""

    @abc.abstractmethod
    def row(self, sums: Any) -> dict[str, float]:
        """The sums, on the host, as means: what is recorded of training."""

    # --- prediction ---

    @abc.abstractmethod
    def create_predict_step(self, model: nn.Module, mesh: Mesh) -> Callable[..., Any]:
        """Compiles `predict_step(params, inputs, lengths) -> outputs` of a padded batch.

        Inputs are uint8, and `lengths` (B,) None for images; see `predictions` for the outputs.
        """

    @abc.abstractmethod
    def predictions(self, outputs: Any, lengths: np.ndarray | None, count: int) -> Iterator[Any]:
        """The predictions for the first `count` examples of a batch, one by one.

        Args:
          outputs: of a predict step, in the host's memory.
          lengths: (B,), frames of each clip or columns of each line; None for images.
          count: how many examples are no padding.
        """

    @abc.abstractmethod
    def prediction_row(self, prediction: Any | None) -> dict[str, Any]:
        """A prediction as plain values; all None where there is none."""

    # --- evaluation ---

    @abc.abstractmethod
    def create_evaluation(
        self, model: nn.Module, mesh: Mesh, take: Take, batch_size: int
    ) -> Evaluation:
        """The evaluation of a network. Nothing is compiled before it is called.

        Args:
          model: inputs in [0, 1] to logits.
          mesh: the devices, all of which share each batch.
          take: see `data.dataset.Split.take`; the same for all splits.
          batch_size: the most examples in one step.
        """

    def needs_predictions(self) -> bool:
        """Whether `report` looks at single predictions."""
        return False

    @abc.abstractmethod
    def report(self, metrics: Any, examples: Sequence[tuple[Any, Any]]) -> Iterator[str]:
        """Lines for people.

        Args:
          metrics: from an evaluation.
          examples: each prediction with its label, where `needs_predictions`; else any number.
        """

    @abc.abstractmethod
    def truth(self, label: Any) -> Any:
        """A label as text, or as plain values."""

    def truth_fields(self, label: Any) -> dict[str, Any]:
        """What a row of an output says of a label."""
        return {"truth": self.truth(label)}

    def scores(self, examples: Sequence[tuple[Any, Any]]) -> Scores | None:
        """Each prediction with its label as what all metrics are computed from; None for texts."""
        return None

    def calibrated(self, prediction: Any, temperature: float) -> Any:
        """A prediction at a temperature, see `metrics.calibration`.

        Raises:
          UserError: it has no probabilities.
        """
        raise UserError(
            f"a temperature changes the probabilities of classes, and this run predicts"
            f" {self.outputs}; leave the flag out"
        )

    # --- data ---

    def infeasible(self, name: str, split: Split) -> Iterator[str]:
        """Lines about examples that cannot be learnt.

        Args:
          name: of the split.
          split: any examples.

        Raises:
          UserError: none can be learnt.
        """
        yield from ()
