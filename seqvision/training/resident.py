"""A feed of examples that lie on the devices as a whole."""

from typing import Any

from jax.sharding import Mesh

from seqvision.data.class_balance import Draws
from seqvision.data.dataset import Split
from seqvision.runtime.mesh import index_sharding, replicated
from seqvision.runtime.transfer import to_devices
from seqvision.training.dispatch import Fed
from seqvision.training.replicas import Replicas


class ResidentFeed:
    """See `dispatch.Feed`.

    Args:
      split: what is trained on.
      replicas: each seed has an order of its own.
      batch_size: examples of a step, of one seed.
      capacity: the most steps of a call.
      mesh: the devices.
      draws: which examples come when; shuffled epochs by default.
    """

    streams = False

    def __init__(
        self,
        split: Split,
        replicas: Replicas,
        batch_size: int,
        capacity: int,
        mesh: Mesh,
        draws: Draws | None = None,
    ) -> None:
        self.capacity = capacity
        self._num_examples, self._replicas, self._batch_size = len(split), replicas, batch_size
        self._mesh, self._draws = mesh, draws
        self._arrays = to_devices(split.arrays, replicated(mesh))
        self._prepared: tuple[int, Any] = (-1, None)

    def fetch(self, step: int) -> Fed:
        if self._prepared[0] != step:
            self.prepare(step)
        return Fed(self._arrays, self._prepared[1], self.capacity)

    def prepare(self, step: int) -> None:
        table = self._replicas.index_table(
            self._num_examples, step, self.capacity, self._batch_size, self._draws
        )
        self._prepared = step, to_devices(table, index_sharding(self._mesh))

    def close(self) -> None:
        pass
