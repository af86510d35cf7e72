"""Exported networks beside JAX on the examples of a split."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from seqvision.data.batching import padded_indices
from seqvision.data.dataset import Split
from seqvision.data.preprocessing import to_unit_range
from seqvision.exporters.scoring import ClassScoring, Scoring
from seqvision.models.line_reader import LineReader
from seqvision.onnx.network import Network
from seqvision.runtime.progress import Progress

Engine = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Logits of a batch: inputs uint8 (B, ...), and lengths (B,) of clips and lines."""

_ROUNDS = 5


class Batch(NamedTuple):
    """Examples, and the logits that JAX gives them.

    Attributes:
      inputs: uint8 (B, ...).
      lengths: (B,) of clips and lines, else None.
      labels: (B,) classes or other targets, or the symbols of each text.
      logits: (B, T, K), after every step; T is 1 where there is one answer for all.
    """

    inputs: np.ndarray
    lengths: np.ndarray | None
    labels: list[Any]
    logits: np.ndarray


class Found(NamedTuple):
    """What was measured of an exported network.

    Attributes:
      difference: the largest one of logits.
      score: the metric of the task, see `scoring.Scoring`.
      num_differing: examples whose answer is another one.
    """

    difference: float
    score: float
    num_differing: int


class Examples:
    """The examples of a split with the logits of JAX, computed once.

    Attributes:
      batches: all of them.
      input_shape: of one input.
      scoring: what the logits say.
    """

    def __init__(
        self,
        model: Network,
        params: Any,
        split: Split,
        input_shape: tuple[int, ...],
        batch_size: int,
        num_files: int,
        scoring: Scoring | None = None,
    ) -> None:
        """Reads the examples and runs the network.

        Args:
          model: the network, in float32.
          params: its weights.
          split: the examples; of clips that the network reads in windows, their first window.
          input_shape: of one input.
          batch_size: how many at a time.
          num_files: how many will be measured, for the time left.
          scoring: of its task; None for one class an example.
        """
        self.scoring, self._progress = scoring or ClassScoring(), Progress(1 + num_files)
        self.input_shape, is_reader = input_shape, isinstance(model, LineReader)
        self._delay = model.delay if isinstance(model, LineReader) else 0
        apply = jax.jit(
            lambda params, inputs, *lengths: model.apply(
                {"params": params}, to_unit_range(inputs), *lengths
            )
        )
        self.batches: list[Batch] = []
        numbers = list(padded_indices(len(split), batch_size))
        for indices, mask in self._progress.over(numbers, "JAX"):
            read = split.read(indices)
            inputs, lengths = read["inputs"], read.get("lengths")
            if lengths is not None and not is_reader:
                inputs, lengths = inputs[:, : input_shape[0]], np.minimum(lengths, input_shape[0])
            logits = apply(params, inputs, *([] if lengths is None else [lengths]))
            labels = list(read["labels"])
            if is_reader:
                sizes = read["label_lengths"]
                labels = [row[:size].tolist() for row, size in zip(labels, sizes, strict=True)]
            arrays = inputs[mask], None if lengths is None else lengths[mask]
            kept = [label for label, is_kept in zip(labels, mask, strict=True) if is_kept]
            self.batches.append(Batch(*arrays, kept, _by_step(np.asarray(logits)[mask])))

    def __len__(self) -> int:
        return sum(len(batch.labels) for batch in self.batches)

    def score(self) -> float:
        """Of JAX."""
        return self._score(self._answers_of_jax)

    def measure(self, engine: Engine, name: str) -> Found:
        """Runs an exported network, of this name, on all examples."""
        found = [
            _by_step(engine(batch.inputs, batch.lengths))
            for batch in self._progress.over(self.batches, name)
        ]
        differences = [
            np.abs(logits - batch.logits)[self._is_output(batch)].max(initial=0.0)
            for logits, batch in zip(found, self.batches, strict=True)
        ]
        answers = self._answers(found)
        pairs = zip(answers, self._answers_of_jax, strict=True)
        num_differing = sum(self.scoring.differ(one, other) for one, other in pairs)
        # numpy's maximum, which a NaN in any batch makes NaN.
        return Found(float(np.max(differences)), self._score(answers), num_differing)

    def some(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Inputs and lengths of so many examples, the first ones again and again."""
        first = self.batches[0]
        numbers = np.arange(count) % len(first.labels)
        return first.inputs[numbers], None if first.lengths is None else first.lengths[numbers]

    def _is_output(self, batch: Batch) -> np.ndarray:
        """Which steps of each example are none of the padding."""
        count, num_steps, _ = batch.logits.shape
        if batch.lengths is None or num_steps == 1:
            return np.ones((count, num_steps), np.bool_)
        return np.arange(num_steps) < batch.lengths[:, None] + self._delay

    @functools.cached_property
    def _answers_of_jax(self) -> list[Any]:
        return self._answers([batch.logits for batch in self.batches])

    def _answers(self, found: list[np.ndarray]) -> list[Any]:
        """What the logits say of each example."""
        answers: list[Any] = []
        for logits, batch in zip(found, self.batches, strict=True):
            sizes = self._is_output(batch).sum(axis=1, dtype=np.int32)
            answers += self.scoring.answers(logits, sizes)
        return answers

    def _score(self, answers: list[Any]) -> float:
        labels = [label for batch in self.batches for label in batch.labels]
        return self.scoring.score(answers, labels)


def _by_step(logits: np.ndarray) -> np.ndarray:
    """(B, K) as (B, 1, K); (B, T, K) as it is."""
    return logits[:, None] if logits.ndim == 2 else logits


def median_seconds(call: Callable[[], Any]) -> float:
    """Of several calls, after one to warm up."""
    times = []
    for _ in range(_ROUNDS + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
