"""What tasks have in common whose metrics are computed on the host, from single predictions."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import Mesh, PartitionSpec

from seqvision.data.dataset import Split
from seqvision.data.device_feed import arrays_spec
from seqvision.data.preprocessing import Windows, frame_ranges
from seqvision.metrics.scores import Scores, Values, defined, score_of
from seqvision.models import create_model
from seqvision.runtime.mesh import BATCH_SPEC, shard_batch, shard_function
from seqvision.shapes import BatchIndices, ByteInputs, Lengths, Mask, PerExample
from seqvision.tasks.base import Evaluation, Keep, Take, Task
from seqvision.tasks.classification_steps import WindowLogits, window_logits
from seqvision.tasks.split_results import split_results


class WindowPart(NamedTuple):
    """The logits of one window of an example.

    Attributes:
      start, stop: its first frame and the one after its last.
      last: (K,), at its end.
      steps: (stop - start, K), after each step; None unless the readout is `per_step`.
    """

    start: int
    stop: int
    last: np.ndarray
    steps: np.ndarray | None


@struct.dataclass
class MeanSums:
    """Sums over targets, on the device.

    Attributes:
      loss, value: float32 (), of the losses and of what else is measured.
      count: int32 (), of the known targets.
    """

    # No array types: jax also fills a state with shapes or with shardings.
    loss: Any
    value: Any
    count: Any

    @classmethod
    def zeros(cls) -> "MeanSums":
        zero = jnp.zeros((), jnp.float32)
        return cls(loss=zero, value=zero, count=jnp.zeros((), jnp.int32))

    @classmethod
    def of(cls, losses: Any, values: Any, known: Any) -> "MeanSums":
        """Adds up what is known; all are arrays of one shape."""
        return cls(
            loss=jnp.where(known, losses, 0.0).sum(),
            value=jnp.where(known, values, 0.0).sum(),
            count=known.sum(dtype=jnp.int32),
        )

    def __add__(self, other: "MeanSums") -> "MeanSums":
        return jax.tree.map(jnp.add, self, other)

    def row(self, name: str) -> dict[str, float]:
        """The means, that of `value` under a name; NaN where nothing is known."""
        count = int(self.count)
        loss, value = (float(x) / count if count else float("nan") for x in (self.loss, self.value))
        return {"loss": loss, name: value, "count": count}


@dataclasses.dataclass(frozen=True)
class ScoredMetrics:
    """See `tasks.base.Metrics`.

    Attributes:
      values: by name; None where one is undefined.
      count: how many targets are known.
      metric: the one that weights are compared by.
    """

    values: Values
    count: int
    metric: str

    @property
    def score(self) -> float:
        return score_of(self.values, self.metric)

    def row(self) -> dict[str, Any]:
        return defined(self.values) | {"count": self.count}


@dataclasses.dataclass(frozen=True)
class ScoredTask(Task):
    """A task whose network's logits are brought to the host, where all metrics are computed.

    Attributes:
      class_names: of the K outputs.
      windows: how clips are cut; None where the network reads them whole.
      metric: what weights are compared by.
    """

    class_names: tuple[str, ...]
    windows: Windows | None = None
    metric: str = "loss"

    @abc.abstractmethod
    def prediction(self, parts: list[WindowPart], of_clip: bool) -> Any:
        """The prediction of one example.

        Args:
          parts: its windows.
          of_clip: whether it is a clip.
        """

    @abc.abstractmethod
    def known_losses(self, logits: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        """For the means of training: losses, another measure, and which targets are known."""

    @property
    @abc.abstractmethod
    def value_name(self) -> str:
        """The name of the other measure."""

    def create_model(self, **fields: Any) -> nn.Module:
        return create_model(num_classes=len(self.class_names), **fields)

    def zeros(self) -> Any:
        return MeanSums.zeros()

    def sums(self, logits: Any, batch: dict[str, Any], losses: PerExample, mask: Mask) -> Any:
        each, values, known = self.known_losses(logits, batch)
        return MeanSums.of(each, values, known & mask.reshape(-1, *[1] * (known.ndim - 1)))

    def row(self, sums: Any) -> dict[str, float]:
        return sums.row(self.value_name)

    def create_predict_step(self, model: nn.Module, mesh: Mesh) -> Callable[..., WindowLogits]:
        def predict_step(params: Any, inputs: ByteInputs, lengths: Lengths | None) -> WindowLogits:
            return window_logits(model, params, inputs, lengths, self.windows)

        return shard_batch(predict_step, mesh, num_replicated=1)

    def predictions(
        self, outputs: WindowLogits, lengths: np.ndarray | None, count: int
    ) -> Iterator[Any]:
        for index in range(count):
            length = None if lengths is None else int(lengths[index])
            yield self.prediction(list(self._parts(outputs, index, length)), length is not None)

    def _parts(self, outputs: WindowLogits, index: int, length: int | None) -> Iterator[WindowPart]:
        ranges = [(0, length or 0)]
        if length is not None and self.windows is not None:
            ranges = frame_ranges(length, *self.windows)
        for number, (start, stop) in enumerate(ranges):
            steps = None if outputs.steps is None else outputs.steps[index, number]
            if steps is not None and length is not None:
                steps = steps[: stop - start]
            yield WindowPart(start, stop, outputs.last[index, number], steps)

    def create_evaluation(
        self, model: nn.Module, mesh: Mesh, take: Take, batch_size: int
    ) -> Evaluation:
        @functools.cache
        def step(streamed: bool) -> Any:
            compiled = _output_step(model, mesh, take, self.windows, streamed)
            return lambda params, arrays, indices, _: compiled(params, arrays, indices)

        def evaluate(params: Any, split: Split, keep: Keep | None = None) -> ScoredMetrics:
            examples: list[tuple[Any, Any]] = []
            given = step(split.is_streamed), params, split, batch_size, mesh
            for (outputs, lengths, labels), count in split_results(*given):
                found = self.predictions(outputs, lengths, count)
                pairs = zip(found, labels[:count], strict=True)
                examples += ((one, self.own_label(label, one)) for one, label in pairs)
            if keep is not None:
                for prediction, label in examples:
                    keep(prediction, label)
            scores = self.scores(examples)
            return ScoredMetrics(scores.values(), scores.count, self.metric)

        return evaluate

    def own_label(self, label: Any, prediction: Any) -> Any:
        """The label of an example without what pads it."""
        return label

    @abc.abstractmethod
    def scores(self, examples: Sequence[tuple[Any, Any]]) -> Scores: ...

    def needs_predictions(self) -> bool:
        return True

    def report(self, metrics: Any, examples: Sequence[tuple[Any, Any]]) -> Iterator[str]:
        """How many targets; all metrics follow, see `tasks.evaluation_report`."""
        yield f"examples  {len(examples)}"
        yield f"targets   {metrics.count}"


def _output_step(
    model: nn.Module, mesh: Mesh, take: Take, windows: Windows | None, streamed: bool
) -> Callable[..., Any]:
    """Compiles `step(params, arrays, indices) -> WindowLogits, lengths, labels` of a batch."""

    def output_step(params: Any, arrays: Any, indices: BatchIndices) -> Any:
        batch = take(arrays, indices)
        lengths = batch.get("lengths")
        logits = window_logits(model, params, batch["inputs"], lengths, windows)
        return logits, lengths, batch["labels"]

    in_specs = (PartitionSpec(), arrays_spec(streamed), BATCH_SPEC)
    return jax.jit(shard_function(output_step, mesh, in_specs, BATCH_SPEC))
