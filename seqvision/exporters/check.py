"""Exported networks beside JAX on the examples of a split."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from rapidfuzz.distance import Levenshtein
from tqdm import tqdm

from seqvision.data.alphabet import Alphabet
from seqvision.data.batching import padded_indices
from seqvision.data.dataset import Split
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import BLANK
from seqvision.exporters.onnx_network import Network
from seqvision.models.line_reader import LineReader
from seqvision.runtime.console import on_terminal

Engine = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Logits of a batch: inputs uint8 (B, ...), and lengths (B,) of clips and lines."""

_ROUNDS = 5


class Batch(NamedTuple):
    """Examples, and the logits that JAX gives them.

    Attributes:
      inputs: uint8 (B, ...).
      lengths: (B,) of clips and lines, else None.
      labels: (B,) classes, or the symbols of each text.
      logits: (B, K), or (B, T, K) after every step.
    """

    inputs: np.ndarray
    lengths: np.ndarray | None
    labels: list[Any]
    logits: np.ndarray


class Found(NamedTuple):
    """What was measured of an exported network.

    Attributes:
      difference: the largest one of logits.
      score: accuracy, or the character error rate of a reader.
      num_differing: examples whose class or text is another one.
    """

    difference: float
    score: float
    num_differing: int


class Examples:
    """The examples of a split with the logits of JAX, computed once.

    Attributes:
      batches: all of them.
      input_shape: of one input.
      is_reader: whether their labels are texts.
    """

    def __init__(
        self,
        model: Network,
        params: Any,
        split: Split,
        input_shape: tuple[int, ...],
        batch_size: int,
        alphabet: Alphabet | None = None,
    ) -> None:
        """Reads the examples and runs the network.

        Args:
          model: the network, in float32.
          params: its weights.
          split: the examples; of clips that the network reads in windows, their first window.
          input_shape: of one input.
          batch_size: how many at a time.
          alphabet: of a reader.
        """
        self._alphabet = alphabet
        self.input_shape, self.is_reader = input_shape, isinstance(model, LineReader)
        self._delay = model.delay if isinstance(model, LineReader) else 0
        apply = jax.jit(
            lambda params, inputs, *lengths: model.apply(
                {"params": params}, to_unit_range(inputs), *lengths
            )
        )
        self.batches: list[Batch] = []
        for indices, mask in _shown(list(padded_indices(len(split), batch_size)), "JAX"):
            read = split.read(indices)
            inputs, lengths = read["inputs"], read.get("lengths")
            if lengths is not None and not self.is_reader:
                inputs, lengths = inputs[:, : input_shape[0]], np.minimum(lengths, input_shape[0])
            logits = apply(params, inputs, *([] if lengths is None else [lengths]))
            labels = list(read["labels"])
            if self.is_reader:
                sizes = read["label_lengths"]
                labels = [row[:size].tolist() for row, size in zip(labels, sizes, strict=True)]
            arrays = inputs[mask], None if lengths is None else lengths[mask]
            kept = [label for label, is_kept in zip(labels, mask, strict=True) if is_kept]
            self.batches.append(Batch(*arrays, kept, np.asarray(logits)[mask]))

    def __len__(self) -> int:
        return sum(len(batch.labels) for batch in self.batches)

    def score(self) -> float:
        """Of JAX."""
        return self._score(self._answers([batch.logits for batch in self.batches]))

    def measure(self, engine: Engine, name: str) -> Found:
        """Runs an exported network, of this name, on all examples."""
        found = [engine(batch.inputs, batch.lengths) for batch in _shown(self.batches, name)]
        differences = [
            np.abs(logits - batch.logits)[self._is_output(batch)].max(initial=0.0)
            for logits, batch in zip(found, self.batches, strict=True)
        ]
        answers = self._answers(found)
        by_jax = self._answers([batch.logits for batch in self.batches])
        num_differing = sum(one != other for one, other in zip(answers, by_jax, strict=True))
        return Found(float(max(differences)), self._score(answers), num_differing)

    def some(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Inputs and lengths of so many examples, the first ones again and again."""
        first = self.batches[0]
        numbers = np.arange(count) % len(first.labels)
        return first.inputs[numbers], None if first.lengths is None else first.lengths[numbers]

    def _is_output(self, batch: Batch) -> np.ndarray:
        """Which steps of each example are none of the padding."""
        if batch.logits.ndim == 2:
            return np.ones(len(batch.logits), np.bool_)
        num_steps = batch.logits.shape[1]
        if batch.lengths is None:
            return np.ones((len(batch.logits), num_steps), np.bool_)
        return np.arange(num_steps) < batch.lengths[:, None] + self._delay

    def _answers(self, found: list[np.ndarray]) -> list[Any]:
        """The class, or the symbols, of each example."""
        answers: list[Any] = []
        for logits, batch in zip(found, self.batches, strict=True):
            for rows, is_output in zip(logits, self._is_output(batch), strict=True):
                if self._alphabet is not None:
                    symbols = best_path(rows[is_output])
                    answers.append(symbols[self._alphabet.trimmed(symbols)].tolist())
                else:
                    last = rows if rows.ndim == 1 else rows[is_output][-1]
                    answers.append(int(last.argmax()))
        return answers

    def _score(self, answers: list[Any]) -> float:
        labels = [label for batch in self.batches for label in batch.labels]
        pairs = list(zip(answers, labels, strict=True))
        if self.is_reader:
            errors = sum(Levenshtein.distance(answer, label) for answer, label in pairs)
            return errors / max(sum(map(len, labels)), 1)
        return sum(int(answer == label) for answer, label in pairs) / len(pairs)


def _shown(batches: list[Any], name: str) -> Any:
    """The batches, with a bar that shows how far it is and the time left."""
    return tqdm(batches, desc=name, unit="batch", disable=not on_terminal(), leave=False)


def median_seconds(call: Callable[[], Any]) -> float:
    """Of several calls, after one to warm up."""
    times = []
    for _ in range(_ROUNDS + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def best_path(logits: np.ndarray) -> np.ndarray:
    """The symbols of a line by its most probable classes, see `decoding.greedy`."""
    winners = logits.argmax(axis=-1)
    begins = np.concatenate([[True], winners[1:] != winners[:-1]])
    return winners[begins & (winners != BLANK)].astype(np.int32)
