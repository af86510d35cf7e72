"""The loop over time of the fused cells, its gradient written out by hand: fast on CPUs.

Against `nn.scan` and automatic differentiation: the gradient of all weights is one product for two
steps, and what no one asks for, such as the gradient of the pixels, is not computed.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero
from jaxtyping import Float

from seqvision.models.cells.jax_operations import JaxOperations
from seqvision.models.execution.feature_major import (
    from_batch_major,
    outer,
    times,
    to_batch_major,
)
from seqvision.shapes import Hidden, HiddenSequence, Sequence, StepMask

# Of many steps of few sequences, the gradient of the weights costs more to add up than to compute.
_LONG, _SMALL_BATCH = 64, 64
_GROUP_SIZE = 8


class Options(NamedTuple):
    """What is fixed when the program of a fused layer is made.

    Attributes:
      dtype: of the products.
      reverse: the last step is read first.
      is_projected: the steps have met their kernel and bias already.
      group_size: of the steps whose weight gradients are one product, in a loop of their own; 0
        where the few of `_unrolled_size` are unrolled.
    """

    dtype: jnp.dtype
    reverse: bool
    is_projected: bool
    group_size: int = 0


class FusedCell(NamedTuple):
    """The steps of a cell. Arrays have their features first; a carry is a tuple that ends in h.

    Attributes:
      make_step: `(options, weights, candidate_mask) -> step`, with `step(carry, x) -> carry,
        activations`. The activations are kept for the way back.
      make_step_back: `(options, weights, candidate_mask) -> step_back`, with `step_back(d_carry,
        after, x, before, activations) -> d_carry, d_input, d_gates, features`: gradients of the
        carry before the step and of what the input adds to the gates; and for each array of the
        weights, the gradient of the gates (G, B) and the features (F, B) that it multiplied.
      read_back: `carry -> after`, what `step_back` needs of the carry after a step.
      input_weights: `weights -> (G, D or more)`, which start with the columns of the inputs.
    """

    make_step: Callable[..., Callable[..., tuple[Any, Any]]]
    make_step_back: Callable[..., Callable[..., tuple[Any, Array, Any, Any]]]
    read_back: Callable[[Any], Any]
    input_weights: Callable[[Any], Array]


def projected_if_wide(
    input_kernel: Array, recurrent_kernel: Array, bias: Array, inputs: Sequence, dtype: jnp.dtype
) -> tuple[Float[Array, "B T _"], bool]:
    """The inputs (B, T, D) as float32; or, if they are wide, projected to the gates, (B, T, G*H).

    The second value tells whether they are. Many products of wide inputs in the loop cost more than
    one big product before it.
    """
    inputs = inputs.astype(jnp.float32)
    if input_kernel.shape[0] <= recurrent_kernel.shape[1]:
        return inputs, False
    projected = JaxOperations(dtype).matmul(inputs, input_kernel)
    return projected + jnp.broadcast_to(bias, projected.shape), True


def read_sequences(
    cell: FusedCell,
    options: Options,
    weights: Any,
    steps: Sequence,
    carry: tuple[Hidden, ...],
    step_mask: StepMask | None,
    candidate_mask: Hidden | None,
) -> tuple[HiddenSequence, tuple[Hidden, ...]]:
    """Reads sequences with the batch first; see `fused_lstm`.

    Args:
      cell: its steps.
      options: as in `Options`.
      weights: as the cell wants them.
      steps: (B, T, D), or (B, T, G*H) for projected ones.
      carry: arrays (B, H).
      step_mask: (B, T), False in the padding.
      candidate_mask: (B, H).

    Returns:
      The hidden state after every step (B, T, H), 0 in the padding, and the carry after the last.
    """
    num_steps = steps.shape[1]
    steps, is_step = from_batch_major(steps), None
    if step_mask is not None:
        is_step = step_mask.T[:, None]
        is_long = num_steps >= _LONG and len(step_mask) <= _SMALL_BATCH
        if is_long and jax.default_backend() == "cpu":
            options = options._replace(group_size=_GROUP_SIZE)
            more = (0, -num_steps % _GROUP_SIZE), (0, 0), (0, 0)
            steps, is_step = jnp.pad(steps, more), jnp.pad(is_step, more)
    outputs, carry = _read(
        cell,
        options,
        weights,
        steps,
        tuple(memory.T for memory in carry),
        is_step,
        None if candidate_mask is None else lax.stop_gradient(candidate_mask.T),
    )
    outputs = to_batch_major(outputs[:num_steps])
    if step_mask is not None:
        outputs = jnp.where(step_mask[..., None], outputs, 0.0)
    return outputs, tuple(memory.T for memory in carry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _read(
    cell: FusedCell,
    options: Options,
    weights: Any,
    steps: Array,
    carry: Any,
    step_mask: Array | None,
    candidate_mask: Array | None,
) -> tuple[Array, Any]:
    """The same with features first.

    Steps are (T, D, B) or (T, G*H, B), carry and candidate_mask (H, B), step_mask (T, 1, B),
    outputs (T, H, B).
    """
    return _loop(cell, options, (weights, steps, carry, step_mask, candidate_mask), keep=False)[:2]


def _loop(
    cell: FusedCell, options: Options, arguments: tuple[Any, ...], *, keep: bool
) -> tuple[Array, Any, Any]:
    """Returns the outputs, the carry, and (if kept) each step's activations and its old carry."""
    weights, steps, carry, step_mask, candidate_mask = arguments
    step = cell.make_step(options, weights, candidate_mask)

    def masked_step(carry: Any, inputs: tuple[Array, Array | None]) -> tuple[Any, Any]:
        x, is_step = inputs
        new_carry, activations = step(carry, x)
        if is_step is not None:
            new_carry = jax.tree.map(
                lambda new, old: jnp.where(is_step, new, old), new_carry, carry
            )
        return new_carry, (new_carry[-1], (activations, carry) if keep else None)

    carry, (outputs, kept) = lax.scan(
        masked_step,
        carry,
        (steps, step_mask),
        reverse=options.reverse,
        unroll=1 if options.group_size else _unrolled_size(len(steps)),
    )
    return outputs, carry, kept


def _forward(cell: FusedCell, options: Options, *arguments: Any) -> tuple[tuple[Array, Any], Any]:
    # With symbolic zeros, arguments come with a word on whether their gradients are wanted.
    steps_want_gradient = arguments[1].perturbed
    values = jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: isinstance(leaf, CustomVJPPrimal)
    )
    outputs, carry, kept = _loop(cell, options, values, keep=True)
    weights, steps, _, step_mask, candidate_mask = values
    saved = weights, steps, step_mask, candidate_mask, kept, cell.read_back(carry)
    # A backward rule takes no Python values: an empty tuple stands for True.
    return (outputs, carry), (saved, () if steps_want_gradient else None)


def _backward(cell: FusedCell, options: Options, residuals: Any, gradients: Any) -> Any:
    (weights, steps, step_mask, candidate_mask, kept, after), steps_want_gradient = residuals
    d_outputs, d_carry = gradients
    d_outputs = None if isinstance(d_outputs, SymbolicZero) else d_outputs
    d_carry = tuple(
        jnp.zeros(leaf.shape, jnp.float32) if isinstance(leaf, SymbolicZero) else leaf
        for leaf in d_carry
    )
    wanted_steps = None if steps_want_gradient is None else steps
    fixed = cell, options, weights, candidate_mask, wanted_steps
    given: Any = steps, d_outputs, step_mask, kept
    if options.group_size:
        group_back = _make_looped_back(*fixed, given)
        groups: Any = _grouped(jnp.arange(len(steps)), options.group_size)
    else:
        group_back = _make_unrolled_back(*fixed)
        groups = _grouped(given, _unrolled_size(len(steps)))
    (d_carry, _, d_weights), d_steps = lax.scan(
        group_back,
        (d_carry, after, jax.tree.map(jnp.zeros_like, weights)),
        groups,
        reverse=not options.reverse,
    )
    d_steps = jnp.zeros_like(steps) if d_steps is None else _ungrouped(d_steps)
    return d_weights, d_steps, d_carry, None, None


_read.defvjp(_forward, _backward, symbolic_zeros=True)


def _make_unrolled_back(
    cell: FusedCell,
    options: Options,
    weights: Any,
    candidate_mask: Array | None,
    steps: Array | None,
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The way back through one or two steps, with one product for the gradient of the weights."""
    one_step_back = _make_one_step_back(cell, options, weights, candidate_mask, steps)

    def group_back(carry: Any, group: Any) -> tuple[Any, Any]:
        d_carry, after, d_weights = carry
        d_gates, features = [], []
        size = len(group[0])
        d_steps: Any = [None] * size
        for at in range(size) if options.reverse else reversed(range(size)):
            step = jax.tree.map(lambda leaf, at=at: leaf[at], group)
            (d_carry, after), d_steps[at], of_gates, of_features = one_step_back(
                d_carry, after, step
            )
            d_gates.append(of_gates)
            features.append(of_features)
        d_weights = jax.tree.map(
            lambda total, gates, read: total + outer(gates, read, options.dtype),
            d_weights,
            jax.tree.map(_side_by_side, *d_gates),
            jax.tree.map(_side_by_side, *features),
        )
        d_steps = None if steps is None else jnp.stack(d_steps)
        return (d_carry, after, d_weights), d_steps

    return group_back


def _make_looped_back(
    cell: FusedCell,
    options: Options,
    weights: Any,
    candidate_mask: Array | None,
    steps: Array | None,
    given: Any,
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The same through more steps: unrolled, XLA would compute much of them several times.

    Takes the numbers of the steps, and reads what is `given` of them, since XLA would copy it.
    """
    one_step_back = _make_one_step_back(cell, options, weights, candidate_mask, steps)
    to_steps = None
    if steps is not None and not options.is_projected:
        to_steps = cell.input_weights(weights).astype(options.dtype).T[: steps.shape[1]]

    def step_back(carry: Any, number: Any) -> tuple[Any, Any]:
        step = jax.tree.map(lambda leaf: leaf[number], given)
        carry, d_input, d_gates, features = one_step_back(*carry, step)
        # What is one array is stored once.
        return carry, (None if steps is None or d_input is d_gates else d_input, d_gates, features)

    def group_back(carry: Any, numbers: Any) -> tuple[Any, Any]:
        *carry, d_weights = carry
        carry, (d_inputs, d_gates, features) = lax.scan(
            step_back, tuple(carry), numbers, reverse=not options.reverse
        )
        d_gates, features = jax.tree.map(_flat, (d_gates, features))
        d_weights = jax.tree.map(
            lambda total, gates, read: total + outer(gates, read, options.dtype),
            d_weights,
            d_gates,
            features,
        )
        if steps is None:
            return (*carry, d_weights), None
        d_steps = d_gates if d_inputs is None else _flat(d_inputs)
        if to_steps is not None:
            d_steps = times(to_steps, d_steps, options.dtype)
        d_steps = d_steps.reshape(len(d_steps), len(numbers), -1).transpose(1, 0, 2)
        return (*carry, d_weights), d_steps

    return group_back


def _make_one_step_back(
    cell: FusedCell,
    options: Options,
    weights: Any,
    candidate_mask: Array | None,
    steps: Array | None,
) -> Callable[..., tuple[Any, Any, Any, Any]]:
    """`cell.step_back`, with padding and the gradient of the step, if `steps` are given."""
    step_back = cell.make_step_back(options, weights, candidate_mask)
    to_step = None
    if steps is not None and not options.is_projected and not options.group_size:
        to_step = cell.input_weights(weights).astype(options.dtype).T[: steps.shape[1]]

    def one_step_back(d_carry: Any, after: Any, step: Any) -> tuple[Any, Any, Any, Any]:
        x, d_output, is_step, (activations, before) = step
        if d_output is not None:
            d_carry = (*d_carry[:-1], d_carry[-1] + d_output)
        passed = None
        if is_step is not None:
            passed = tuple(jnp.where(is_step, 0.0, leaf) for leaf in d_carry)
            d_carry = tuple(jnp.where(is_step, leaf, 0.0) for leaf in d_carry)
        d_carry, d_input, d_gates, features = step_back(d_carry, after, x, before, activations)
        d_step = None
        if steps is not None:
            d_step = d_input if to_step is None else times(to_step, d_input, options.dtype)
        if passed is not None:
            d_carry = jax.tree.map(jnp.add, d_carry, passed)
        return (d_carry, cell.read_back(before)), d_step, d_gates, features

    return one_step_back


def _side_by_side(*leaves: Array) -> Array:
    return jnp.concatenate(leaves, axis=1)


def _flat(stacked: Array) -> Array:
    """(T, F, B) as (F, T * B)."""
    return stacked.transpose(1, 0, 2).reshape(stacked.shape[1], -1)


def _grouped(tree: Any, size: int) -> Any:
    """(T, ...) as (T / size, size, ...)."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), tree)


def _ungrouped(tree: Any) -> Any:
    """(T / size, size, ...) as (T, ...)."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)


def _unrolled_size(num_steps: int) -> int:
    """Steps whose weight gradients are computed in one product, which is more efficient."""
    return 2 if num_steps % 2 == 0 else 1
