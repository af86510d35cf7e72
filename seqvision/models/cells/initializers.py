"""Initializers of the parameters of a recurrent cell."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Initializer = Callable[[Array, tuple[int, ...]], Array]
"""From a key and a shape to a float32 parameter."""

GATE_INITS = ("constant", "chrono", "uniform")
RECURRENT_INITS = ("orthogonal", "identity")


def keep_bias(gate_init: str, forget_bias: float, num_steps: Any) -> Initializer:
    """The bias b (H,) with which a gate sigmoid(. + b) keeps the memory.

    Args:
      gate_init: one of
        `constant`: b = forget_bias, for all units. With 1 the cell remembers from the beginning
          (Gers et al., 2000; Jozefowicz et al., 2015).
        `chrono`: b = log(U[1, T - 1]), so that memories last 1 to T - 1 steps (Tallec & Ollivier,
          2018, arXiv 1804.11188). T < 2 is read as 2: b = 0.
        `uniform`: b = logit(U[1/H, 1 - 1/H]), so that the gates themselves are uniform (Gu et al.,
          2020, arXiv 1910.09890). H = 1 is read as 2: b = 0.
      forget_bias: read by `constant` only.
      num_steps: T, or None, read by `chrono` only. Others take a dimension of any size too.

    Raises:
      ValueError: there is no such `gate_init`, or `chrono` was not told the number of steps.
    """
    _choose("gate_init", gate_init, GATE_INITS)
    if gate_init == "chrono" and num_steps is None:
        raise ValueError("gate_init='chrono' needs num_steps, the length of the sequences")

    def init(key: Array, shape: tuple[int, ...]) -> Array:
        if gate_init == "constant":
            return jnp.full(shape, forget_bias, jnp.float32)
        if gate_init == "chrono":
            longest = max((num_steps or 0) - 1, 1)
            return jnp.log(jax.random.uniform(key, shape, jnp.float32, 1.0, longest))
        edge = 1 / max(shape[-1], 2)
        return jax.scipy.special.logit(jax.random.uniform(key, shape, jnp.float32, edge, 1 - edge))

    return init


def gate_biases(keep: Initializer, signs: Sequence[int]) -> Initializer:
    """The biases (G*H,) of all gates: each gate's sign times one draw of the keeping bias (H,)."""

    def init(key: Array, shape: tuple[int, ...]) -> Array:
        bias = keep(key, (shape[0] // len(signs),))
        return jnp.outer(jnp.asarray(signs, jnp.float32), bias).ravel()

    return init


def recurrent_kernels(recurrent_init: str) -> Initializer:
    """The kernels (H, G*H) of all gates, side by side.

    `orthogonal`: each gate has its own orthogonal matrix (H, H) (Saxe et al., 2014, arXiv
    1312.6120). `identity`: each gate has the identity (Le et al., 2015, arXiv 1504.00941).

    Raises:
      ValueError: there is no such `recurrent_init`.
    """
    _choose("recurrent_init", recurrent_init, RECURRENT_INITS)

    def init(key: Array, shape: tuple[int, ...]) -> Array:
        size, width = shape
        num_gates = width // size
        if recurrent_init == "identity":
            return jnp.tile(jnp.eye(size, dtype=jnp.float32), (1, num_gates))
        orthogonal = jax.nn.initializers.orthogonal(dtype=jnp.float32)
        # All in one decomposition: each of its own would take its own time to compile.
        gates = jax.vmap(lambda key: orthogonal(key, (size, size)))(
            jax.random.split(key, num_gates)
        )
        return gates.swapaxes(0, 1).reshape(shape)

    return init


def _choose(option: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise ValueError(f"{option} '{name}' is not known; choose one of {', '.join(names)}")
