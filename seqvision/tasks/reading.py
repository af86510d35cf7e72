"""What a network read on the lines of a split."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float32

from seqvision.data.batching import padded_indices
from seqvision.data.dataset import Split
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import Decoded, beam_decode, greedy_decode
from seqvision.runtime.mesh import batch_sharding, replicated, share_batch
from seqvision.runtime.transfer import to_devices, to_host
from seqvision.shapes import Lengths
from seqvision.tasks.base import TextReading
from seqvision.tasks.reading_metrics import ScoredLine
from seqvision.training.steps import Take


class _Read(NamedTuple):
    """What is said about a batch, and the batch but for its pictures."""

    # No array types: they lie on the devices first, and later on the host.
    decoded: Any
    losses: Any
    fits: Any
    batch: dict[str, Any]


def make_read_step(
    model: nn.Module, mesh: Mesh, take: Take, objective: TextReading, beam_width: int = 0
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
) -> Iterator[ScoredLine]:
    """Reads a split, each line once, in order.

    Args:
      read_step: from `make_read_step`.
      params: the weights.
      split: lines.
      batch_size: lines per step, a multiple of the devices.
      mesh: the devices.
    """
    params, arrays = to_devices((params, split.arrays), replicated(mesh))
    for indices, mask in padded_indices(len(split), batch_size):
        read = to_host(read_step(params, arrays, to_devices(indices, batch_sharding(mesh))))
        yield from (_transcript(read, line) for line in range(int(mask.sum())))


def decode(log_probs: Float32[Array, "B T K"], lengths: Lengths, beam_width: int = 0) -> Decoded:
    """The most probable text by a beam search of that width, or with 0 the greedy one.

    There is room for a symbol in each column.
    """
    if not beam_width:
        return greedy_decode(log_probs, lengths)
    beams = beam_decode(log_probs, lengths, beam_width=beam_width, max_symbols=log_probs.shape[1])
    return jax.tree.map(lambda leaf: leaf[:, 0], beams.decoded)


def _transcript(read: _Read, line: int) -> ScoredLine:
    decoded, batch = read.decoded, read.batch
    said = slice(int(decoded.num_symbols[line]))
    written = slice(int(batch["label_lengths"][line]))
    return ScoredLine(
        symbols=decoded.symbols[line, said],
        starts=decoded.starts[line, said],
        ends=decoded.ends[line, said],
        confidences=decoded.confidences[line, said],
        num_columns=int(batch["lengths"][line]),
        truth=batch["labels"][line, written],
        truth_ends=batch["ends"][line, written] if "ends" in batch else None,
        loss=float(read.losses[line]),
        fits=bool(read.fits[line]),
    )
