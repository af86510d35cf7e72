"""What a network read on the lines of a split."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float32

from seqvision.data.batches import padded_indices
from seqvision.data.dataset import Split
from seqvision.decoding import Decoded, beam_decode, greedy_decode
from seqvision.objectives import Reading
from seqvision.shapes import Lengths
from seqvision.state import replicated
from seqvision.steps import Take, batch_sharding, share_batch, to_unit_range


class Transcript(NamedTuple):
    """One line as it was read, and as it is written. Columns are counted from 0.

    Attributes:
      symbols: class numbers that were read.
      starts, ends: (len(symbols),), the columns that say each of them, both included.
      confidences: (len(symbols),), its highest probability there.
      truth: class numbers that are written.
      truth_ends: the last column of ink of each of these; None where nobody knows.
      loss: of the line, in nats.
      fits: whether the truth fits the columns; else the loss is 0 and means nothing.
    """

    symbols: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    confidences: np.ndarray
    truth: np.ndarray
    truth_ends: np.ndarray | None
    loss: float
    fits: bool


class _Read(NamedTuple):
    """What is said about a batch, and the batch but for its pictures."""

    # No array types: they lie on the devices first, and later on the host.
    decoded: Any
    losses: Any
    fits: Any
    batch: dict[str, Any]


def make_read_step(
    model: nn.Module, mesh: Mesh, take: Take, objective: Reading, beam_width: int = 0
) -> Callable[..., _Read]:
    """Compiles `read_step(params, arrays, indices)`: texts and losses of a batch.

    Texts are the best of `beam_width`, see `decoding.beam_decode`, or with 0 greedy.
    """

    def read_step(params: Any, arrays: Any, indices: Any) -> _Read:
        batch = take(arrays, indices)
        inputs, lengths = to_unit_range(batch.pop("inputs")), batch["lengths"]
        logits: Any = model.apply({"params": params}, inputs, lengths)
        log_probs = jax.nn.log_softmax(logits)
        return _Read(
            decode(log_probs, lengths + objective.delay, beam_width),
            objective.losses(logits, batch),
            objective.fits(batch),
            batch,
        )

    return share_batch(read_step, mesh, num_replicated=2)


def transcripts(
    read_step: Callable[..., _Read], params: Any, split: Split, batch_size: int, mesh: Mesh
) -> list[Transcript]:
    """Reads a split, each line once, in order.

    Args:
      read_step: from `make_read_step`.
      params: the weights.
      split: lines.
      batch_size: lines per step, a multiple of the devices.
      mesh: the devices.
    """
    params, arrays = jax.device_put((params, split.arrays), replicated(mesh))
    found: list[Transcript] = []
    for indices, mask in padded_indices(len(split), batch_size):
        read = jax.device_get(
            read_step(params, arrays, jax.device_put(indices, batch_sharding(mesh)))
        )
        found.extend(_transcript(read, line) for line in range(int(mask.sum())))
    return found


def decode(log_probs: Float32[Array, "B T K"], lengths: Lengths, beam_width: int = 0) -> Decoded:
    """The most probable text by a beam search of that width, or with 0 the greedy one.

    The beam has room for half as many symbols as there are columns.
    """
    if not beam_width:
        return greedy_decode(log_probs, lengths)
    room = max(1, log_probs.shape[1] // 2)
    beams = beam_decode(log_probs, lengths, beam_width=beam_width, max_symbols=room)
    return jax.tree.map(lambda leaf: leaf[:, 0], beams.decoded)


def _transcript(read: _Read, line: int) -> Transcript:
    decoded, batch = read.decoded, read.batch
    said = slice(int(decoded.num_symbols[line]))
    written = slice(int(batch["label_lengths"][line]))
    return Transcript(
        symbols=decoded.symbols[line, said],
        starts=decoded.starts[line, said],
        ends=decoded.ends[line, said],
        confidences=decoded.confidences[line, said],
        truth=batch["labels"][line, written],
        truth_ends=batch["ends"][line, written] if "ends" in batch else None,
        loss=float(read.losses[line]),
        fits=bool(read.fits[line]),
    )
