"""Steps of seqvision on each of its paths and of plain Flax, compiled by JAX."""

import contextlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator.parity_case import compare
from benchmarks.machine import describe_devices
from benchmarks.speed.cases import Case
from benchmarks.speed.contender import Run
from benchmarks.speed.training_steps import build_training

THREADS = True
"""Whether several may be prepared at once."""
_MANY = "many steps in one jit, unroll={}"


def versions() -> dict[str, str]:
    return {"jax": jax.__version__, "device": describe_devices()}


def matmul_precision(precision: str) -> Any:
    """`float32` multiplies in float32, `tf32` as a GPU does by default."""
    if precision == "float32":
        return jax.default_matmul_precision("highest")
    return contextlib.nullcontext()


def build(item: dict[str, Any]) -> Run:
    """The steps of an item, see `worker`.

    Raises:
      ValueError: the path is not for these sizes.
    """
    precision, path = item["precision"], item["path"]
    with matmul_precision(precision):
        run = _build(path, Case(**item["case"]), item.get("num_seeds", 1))

    def in_precision(num_steps: int) -> None:
        with matmul_precision(precision):
            run(num_steps)

    return in_precision


def _build(path: str, case: Case, num_seeds: int) -> Run:
    if path.startswith("flax"):
        from benchmarks.speed.contenders.flax_lstm import FlaxContender

        unroll = 4 if path.endswith("unroll 4") else 1
        return FlaxContender().settings(case)[_MANY.format(unroll)]()
    if case.mode == "training":
        return build_training(case, path, num_seeds, seeds_together=num_seeds > 1)
    from benchmarks.speed.contenders.seqvision_steps import SeqvisionContender

    return SeqvisionContender(path).settings(case)["many batches in one call"]()


def parity(item: dict[str, Any]) -> dict[str, Any]:
    """See `parity_case.compare`."""
    with matmul_precision(item["precision"]):
        return compare(item)


def peak(precision: str, size: int) -> dict[str, Any]:
    """FLOP/s of the product of two large square matrices of random numbers."""
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    rng = np.random.default_rng(0)
    left, right = (jnp.asarray(rng.standard_normal((size, size)), dtype) for _ in range(2))
    with matmul_precision(precision):
        product = jax.jit(lambda left, right: left @ right)
        product(left, right).block_until_ready()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            for _ in range(5):
                found = product(left, right)
            found.block_until_ready()
            times.append((time.perf_counter() - start) / 5)
    return {"flops": 2 * size**3 / min(times)}
