"""Exported networks beside JAX on the examples of a split."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from rapidfuzz.distance import Levenshtein

from seqvision.data.batching import padded_indices
from seqvision.data.dataset import Split
from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.exporters.onnx_network import Network
from seqvision.models.line_reader import LineReader

Engine = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Logits of a batch: inputs uint8 (B, ...), and lengths (B,) of clips and lines."""

_ROUNDS = 5
_SIZES = (1, 128)


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
      seconds: for batches of 1 and 128.
    """

    difference: float
    score: float
    seconds: tuple[float, ...]


class Examples:
    """The examples of a split with the logits of JAX, computed once.

    Attributes:
      batches: all of them.
      is_reader: whether their labels are texts.
    """

    def __init__(self, model: Network, params: Any, split: Split, batch_size: int) -> None:
        """Reads the examples and runs the network.

        Args:
          model: the network, in float32.
          params: its weights.
          split: the examples.
          batch_size: how many at a time.
        """
        self.is_reader = isinstance(model, LineReader)
        self._delay = model.delay if isinstance(model, LineReader) else 0
        apply = jax.jit(
            lambda params, inputs, *lengths: model.apply(
                {"params": params}, to_unit_range(inputs), *lengths
            )
        )
        self.batches: list[Batch] = []
        for indices, mask in padded_indices(len(split), batch_size):
            read = split.read(indices)
            lengths = read.get("lengths")
            logits = apply(params, read["inputs"], *([] if lengths is None else [lengths]))
            labels = list(read["labels"])
            if self.is_reader:
                sizes = read["label_lengths"]
                labels = [row[:size].tolist() for row, size in zip(labels, sizes, strict=True)]
            arrays = read["inputs"][mask], None if lengths is None else lengths[mask]
            kept = [label for label, is_kept in zip(labels, mask, strict=True) if is_kept]
            self.batches.append(Batch(*arrays, kept, np.asarray(logits)[mask]))

    def __len__(self) -> int:
        return sum(len(batch.labels) for batch in self.batches)

    def score(self) -> float:
        """Of JAX."""
        return self._score([batch.logits for batch in self.batches])

    def measure(self, engine: Engine) -> Found:
        """Runs an exported network on all examples."""
        found = [engine(batch.inputs, batch.lengths) for batch in self.batches]
        differences = [
            np.abs(logits - batch.logits)[self._is_output(batch)].max(initial=0.0)
            for logits, batch in zip(found, self.batches, strict=True)
        ]
        return Found(float(max(differences)), self._score(found), tuple(self._seconds(engine)))

    def _is_output(self, batch: Batch) -> np.ndarray:
        """Which steps of each example are none of the padding."""
        if batch.logits.ndim == 2:
            return np.ones(len(batch.logits), np.bool_)
        num_steps = batch.logits.shape[1]
        if batch.lengths is None:
            return np.ones((len(batch.logits), num_steps), np.bool_)
        return np.arange(num_steps) < batch.lengths[:, None] + self._delay

    def _score(self, found: list[np.ndarray]) -> float:
        wrong = total = 0
        for logits, batch in zip(found, self.batches, strict=True):
            is_output = self._is_output(batch)
            for example, label in enumerate(batch.labels):
                rows = logits[example]
                if self.is_reader:
                    wrong += Levenshtein.distance(best_path(rows[is_output[example]]), label)
                    total += len(label)
                else:
                    last = rows if rows.ndim == 1 else rows[is_output[example]][-1]
                    wrong += int(last.argmax() != label)
                    total += 1
        rate = wrong / max(total, 1)
        return rate if self.is_reader else 1 - rate

    def _seconds(self, engine: Engine) -> Iterator[float]:
        """The median time of a batch of each size."""
        first = self.batches[0]
        for size in _SIZES:
            numbers = np.arange(size) % len(first.labels)
            inputs = first.inputs[numbers]
            lengths = None if first.lengths is None else first.lengths[numbers]
            times = []
            for _ in range(_ROUNDS + 1):
                start = time.perf_counter()
                engine(inputs, lengths)
                times.append(time.perf_counter() - start)
            yield float(np.median(times[1:]))


def best_path(logits: np.ndarray) -> list[int]:
    """The symbols of a line by its most probable classes, see `decoding.greedy`."""
    winners = logits.argmax(axis=-1)
    begins = np.concatenate([[True], winners[1:] != winners[:-1]])
    return winners[begins & (winners != 0)].tolist()


def check_equal(name: str, found: Found, most: float) -> None:
    """Refuses an exported network that is another one.

    Raises:
      UserError: its logits differ by more than `most`.
    """
    if not found.difference <= most:  # NaN is refused too.
        raise UserError(
            f"{name}: its logits differ by up to {found.difference:.2g} from JAX's, {most:g} is"
            " allowed; nothing was written. Please report this with the run's config.json"
        )


def check_score(name: str, found: Found, score: float, most: float) -> None:
    """Refuses an exported network of lower precision that is much worse.

    Raises:
      UserError: its accuracy, or error rate, is worse by more than `most`.
    """
    if abs(found.score - score) > most:
        raise UserError(
            f"{name}: {found.score:.2%} where JAX has {score:.2%}, {most:.0%} more or less is"
            " allowed; nothing was written. Leave the 8-bit files out with --noint8"
        )
