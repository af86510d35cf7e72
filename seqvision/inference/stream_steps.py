"""Compiled steps of live reading: start lines, read columns, end lines.

The memory of S lines is `(carry, greedy)`: the network's `models.line_reader.ReaderCarry` and the
decoder's `decoding.GreedyState`, a tree of arrays (S, ...).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import BLANK, greedy_finish, greedy_read, greedy_start
from seqvision.models.line_reader import LineReader
from seqvision.models.padding import step_mask
from seqvision.runtime.mesh import shard_batch
from seqvision.shapes import ByteImages, Lengths, Mask


class ColumnOutputs(NamedTuple):
    """Decoder outputs for n columns of each of S lines.

    Attributes:
      first: (S,), the number of the first of these columns in its line, from 0.
      greedy: `decoding.GreedyEvents`, (S, n).
      probabilities: (S, n), of the most probable class.
    """

    # No array types: they lie on the devices first, and later on the host.
    first: Any
    greedy: Any
    probabilities: Any


def make_start(model: LineReader, mesh: Mesh) -> Callable[..., Any]:
    """Compiles `start(params, columns) -> memory` before the first column; `columns` are any."""

    def start(params: Any, columns: ByteImages) -> Any:
        no_columns = jnp.zeros(len(columns), jnp.int32)
        _, carry = _forward(model, params, columns, no_columns, None)
        return carry, greedy_start(len(columns))

    return shard_batch(start, mesh, num_replicated=1)


def make_read_step(model: LineReader, mesh: Mesh) -> Callable[..., tuple[Any, ColumnOutputs, Any]]:
    """Compiles `read_step(params, memory, columns, lengths) -> memory, ColumnOutputs, logits`."""

    def read_step(
        params: Any, memory: Any, columns: ByteImages, lengths: Lengths
    ) -> tuple[Any, ColumnOutputs, Array]:
        carry, greedy = memory
        logits, carry = _forward(model, params, columns, lengths, carry)
        log_probs = jax.nn.log_softmax(logits)
        after, events = greedy_read(greedy, log_probs, step_mask(lengths, logits.shape[1]))
        probabilities = jnp.exp(log_probs.max(axis=-1))
        return (carry, after), ColumnOutputs(greedy.num_columns, events, probabilities), logits

    return shard_batch(read_step, mesh, num_replicated=1)


def make_end_step(mesh: Mesh) -> Callable[..., tuple[Any, ColumnOutputs]]:
    """Compiles `end_step(start, memory, ends) -> memory, ColumnOutputs`.

    Lines where `ends` (S,) is True end, and start anew; their last letters are final.
    """

    def end_step(start: Any, memory: Any, ends: Mask) -> tuple[Any, ColumnOutputs]:
        _, greedy = memory
        closed = greedy_finish(greedy)
        closed = closed._replace(ended=jnp.where(ends, closed.ended, BLANK))
        events = jax.tree.map(lambda leaf: leaf[:, None], closed)
        no_letter_begins = jnp.zeros_like(events.confidences)
        outputs = ColumnOutputs(greedy.num_columns - 1, events, no_letter_begins)

        def select(new: Array, old: Array) -> Array:
            return jnp.where(ends.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return jax.tree.map(select, start, memory), outputs

    return shard_batch(end_step, mesh, num_replicated=0)


def _forward(model: LineReader, params: Any, columns: Any, lengths: Any, carry: Any) -> Any:
    inputs = to_unit_range(columns)
    return model.apply({"params": params}, inputs, lengths, carry, method=LineReader.read)
