"""Best path decoding (Graves et al., 2006, https://doi.org/10.1145/1143844.1143891, section 3.2).

The path takes the most probable class of each column (the lowest of equal ones). Neighbouring
columns of the same class are one run. A run of a symbol is that symbol once; runs of blanks are
dropped.

`greedy_step` reads one column with a state of fixed size, for live reading.
`greedy_decode`, for whole lines, is a scan of the same step.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float32, Int32

from seqvision.decoding.decoded import BLANK, Decoded
from seqvision.shapes import Lengths, Mask, StepMask


class GreedyState(NamedTuple):
    """What is kept of the columns read so far. All are (B,).

    Attributes:
      num_columns: how many have been read; the number of the next one.
      previous: the class of the last column; blank before the first.
      start: the first column of the run that the last column belongs to.
      highest: log probability of that class, the highest one of its run.
      log_probability: of the path so far, nats.
    """

    num_columns: Int32[Array, " B"]
    previous: Int32[Array, " B"]
    start: Int32[Array, " B"]
    highest: Float32[Array, " B"]
    log_probability: Float32[Array, " B"]


class GreedyEvents(NamedTuple):
    """What one column changed, (B,), or what each of T columns changed, (B, T).

    Attributes:
      begun: the symbol whose run begins with this column, or 0. It is part of the text for good;
        its last column and its confidence are open.
      ended: the symbol whose run ended before this column, or 0. The rest is about this one.
      starts, ends: its first and last column, or -1.
      confidences: its highest probability in the run, or 0.
    """

    begun: Int32[Array, "*steps"]
    ended: Int32[Array, "*steps"]
    starts: Int32[Array, "*steps"]
    ends: Int32[Array, "*steps"]
    confidences: Float32[Array, "*steps"]


def greedy_start(batch_size: int) -> GreedyState:
    """Before the first column."""
    zeros = jnp.zeros(batch_size, jnp.int32)
    return GreedyState(
        num_columns=zeros,
        previous=jnp.full_like(zeros, BLANK),
        start=zeros,
        highest=jnp.zeros(batch_size, jnp.float32),
        log_probability=jnp.zeros(batch_size, jnp.float32),
    )


def greedy_step(
    state: GreedyState, log_probs: Float32[Array, "B K"], is_step: Mask
) -> tuple[GreedyState, GreedyEvents]:
    """Reads one column of each sequence.

    Args:
      state: after the columns before.
      log_probs: log probabilities of the classes in this column.
      is_step: False where no column has arrived; the state stays as it is there.
    """
    winner = jnp.argmax(log_probs, axis=-1).astype(jnp.int32)
    highest = jnp.max(log_probs, axis=-1)
    changes = winner != state.previous
    begun = jnp.where(is_step & changes, winner, BLANK)
    events = _close(state, is_step & changes)._replace(begun=begun)
    after = GreedyState(
        num_columns=state.num_columns + 1,
        previous=winner,
        start=jnp.where(changes, state.num_columns, state.start),
        highest=jnp.where(changes, highest, jnp.maximum(state.highest, highest)),
        log_probability=state.log_probability + highest,
    )
    return jax.tree.map(lambda new, old: jnp.where(is_step, new, old), after, state), events


def greedy_read(
    state: GreedyState, log_probs: Float32[Array, "B T K"], step_mask: StepMask
) -> tuple[GreedyState, GreedyEvents]:
    """Reads T columns of each sequence, one `greedy_step` after another; events are (B, T)."""
    columns = (log_probs.swapaxes(0, 1), step_mask.swapaxes(0, 1))
    state, events = lax.scan(lambda state, column: greedy_step(state, *column), state, columns)
    return state, jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), events)


def greedy_finish(state: GreedyState) -> GreedyEvents:
    """The last symbol's end, where a sequence ends inside of its run. Events are (B,)."""
    return _close(state, jnp.ones_like(state.previous, jnp.bool_))


def _close(state: GreedyState, closes: Mask) -> GreedyEvents:
    """The run of `previous` as ended, where it `closes` and is one of a symbol."""
    closes = closes & (state.previous != BLANK)
    return GreedyEvents(
        begun=jnp.full_like(state.previous, BLANK),
        ended=jnp.where(closes, state.previous, BLANK),
        starts=jnp.where(closes, state.start, -1),
        ends=jnp.where(closes, state.num_columns - 1, -1),
        confidences=jnp.where(closes, jnp.exp(state.highest), 0.0),
    )


@partial(jax.jit, static_argnames="max_symbols")
def greedy_decode(
    log_probs: Float32[Array, "B T K"], lengths: Lengths, max_symbols: int | None = None
) -> Decoded:
    """The text of the most probable path; `log_probability` is that of this one path.

    Args:
      log_probs: log probabilities of the classes, class 0 being the blank. -inf is allowed.
      lengths: columns of each sequence; what follows them is ignored.
      max_symbols: N, how many symbols there is room for; T, which is always enough, by default.
        Where a text is longer, `num_symbols` still counts all of it.
    """
    batch_size, num_steps, _ = log_probs.shape
    step_mask = jnp.arange(num_steps, dtype=jnp.int32)[None] < lengths[:, None]
    state, events = greedy_read(greedy_start(batch_size), log_probs, step_mask)
    events = jax.tree.map(
        lambda steps, last: jnp.concatenate([steps, last[:, None]], axis=1),
        events,
        greedy_finish(state),
    )
    is_end = events.ended != BLANK
    size = num_steps if max_symbols is None else max_symbols
    place = jax.vmap(lambda row: jnp.nonzero(row, size=size, fill_value=row.size)[0])(is_end)

    def gather(values: Array, padding: int) -> Array:
        def of_one(row: Array, place: Array) -> Array:
            return row.at[place].get(mode="fill", fill_value=padding)

        return jax.vmap(of_one)(values, place)

    return Decoded(
        symbols=gather(events.ended, BLANK),
        num_symbols=is_end.sum(axis=1, dtype=jnp.int32),
        starts=gather(events.starts, -1),
        ends=gather(events.ends, -1),
        confidences=gather(events.confidences, 0),
        log_probability=state.log_probability,
    )
