"""Peak floating-point operations per second of the devices, measured with matrix products."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

_SIDE_ON_CPU, _SIDE = 2048, 8192
_TRIALS = 5
_SECONDS_PER_TRIAL = 0.2


def measure_peak(mesh: Mesh, dtype: str) -> float:
    """Measures FLOP/s of all devices together in square matrix products; the best of 5 trials.

    All devices multiply at the same time, each its own matrices. Takes about two seconds on a CPU.

    Args:
      mesh: the devices.
      dtype: type of the matrices, such as `float32` or `bfloat16`; the precision of float32
        products on an accelerator is jax's default, as in training.

    Returns:
      Floating-point operations per second.
    """
    side = _SIDE_ON_CPU if mesh.devices.flat[0].platform == "cpu" else _SIDE
    own, everywhere = PartitionSpec(mesh.axis_names), PartitionSpec()

    @jax.jit
    @jax.shard_map(mesh=mesh, in_specs=(own, everywhere), out_specs=own)
    def multiply(matrices: Array, times: Array) -> Array:
        # Ones divided by the side: their product is that matrix again, so nothing overflows.
        return jax.lax.fori_loop(0, times, lambda _, product: product @ matrices, matrices)

    matrices = jax.jit(
        lambda: jnp.full((mesh.size * side, side), 1 / side, dtype),
        out_shardings=jax.NamedSharding(mesh, own),
    )()
    _seconds(lambda: multiply(matrices, 1))  # Compiles.
    once = _seconds(lambda: multiply(matrices, 1))
    times = max(1, round(_SECONDS_PER_TRIAL / once))
    best = min(_seconds(lambda: multiply(matrices, times)) for _ in range(_TRIALS))
    return 2 * side**3 * mesh.size * times / best


def _seconds(function: Callable[[], Array]) -> float:
    start = time.perf_counter()
    function().block_until_ready()
    return time.perf_counter() - start
