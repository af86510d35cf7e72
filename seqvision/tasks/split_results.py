"""What a compiled step returns for each batch of a whole split."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.sharding import Mesh

from seqvision.data.dataset import Split
from seqvision.data.device_feed import evaluation_batches
from seqvision.runtime.mesh import batch_sharding, replicated
from seqvision.runtime.transfer import to_devices, to_host

EvaluationStep = Callable[[Any, Any, jax.Array, jax.Array], Any]
"""`step(params, arrays, indices, mask)`, see `data.device_feed.evaluation_batches`."""


def split_results(
    step: EvaluationStep, params: Any, split: Split, batch_size: int, mesh: Mesh
) -> Iterator[tuple[Any, int]]:
    """The results of all batches of a split, in order, on the host.

    The devices compute the next batch while the caller uses one. No more than two are on the way,
    lest streamed examples pile up on the devices.

    Args:
      step: a compiled step.
      params: of the network.
      split: of any kind.
      batch_size: most examples of a batch.
      mesh: the devices.

    Yields:
      What `step` returned, and how many of the batch are examples of the split: the first ones.
    """
    params = to_devices(params, replicated(mesh))
    before: tuple[Any, int] | None = None
    for arrays, indices, mask in evaluation_batches(split, batch_size, mesh):
        result = step(params, arrays, indices, to_devices(mask, batch_sharding(mesh)))
        if before is not None:
            yield to_host(before[0]), before[1]
        before = result, int(mask.sum())
    if before is not None:
        yield to_host(before[0]), before[1]
