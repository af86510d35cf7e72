"""The seeds that a run trains at once, as replicas of one network."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.data.batching import example_indices
from seqvision.data.class_balance import Draws
from seqvision.runtime.mesh import state_sharding, training_mesh
from seqvision.tasks.base import Evaluation, Metrics
from seqvision.tasks.seed_metrics import SeedMetrics, row_of_seeds
from seqvision.training.state import Init, TrainState


@dataclasses.dataclass(frozen=True)
class Replicas:
    """One seed or several: their states, examples and metrics.

    Of several seeds every array of a state has a first axis more, R. Of one it has none: an axis of
    length 1 would change the checkpoints of all runs.

    Attributes:
      seeds: from the first on.
    """

    seeds: range

    @property
    def axes(self) -> tuple[int, ...]:
        """The lengths of the axes in front of all arrays of a state: () or (R,)."""
        return (len(self.seeds),) if len(self.seeds) > 1 else ()

    def mesh(self, batch_size: int) -> Mesh:
        """See `runtime.mesh.training_mesh`."""
        return training_mesh(batch_size, len(self.seeds))

    def each(self, tree: Any) -> list[Any]:
        """Each seed's part of a tree of arrays (*axes, ...)."""
        if not self.axes:
            return [tree]
        return [_part(tree, index) for index in range(len(self.seeds))]

    def for_all(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of one seed's arrays as one of all."""
        return jax.vmap(function) if self.axes else function

    # --- states ---

    def abstract_state(self, init: Init, mesh: Mesh) -> Any:
        """Shapes, types and shardings of the state, at the cost of no computation."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                (*self.axes, *leaf.shape), leaf.dtype, sharding=state_sharding(mesh)
            ),
            jax.eval_shape(init, 0),
        )

    def create_state(self, init: Init, mesh: Mesh) -> TrainState:
        """The state before the first step, made on the devices where it will live.

        Each seed begins with the same bits as alone.
        """
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state(init, mesh))
        if not self.axes:
            return jax.jit(init, out_shardings=shardings)(self.seeds[0])

        def init_all(seeds: Any) -> TrainState:
            return jax.lax.map(init, seeds)

        return jax.jit(init_all, out_shardings=shardings)(np.array(self.seeds, np.int32))

    # --- examples ---

    def index_table(
        self,
        num_examples: int,
        step: int,
        num_steps: int,
        batch_size: int,
        draws: Draws | None = None,
    ) -> np.ndarray:
        """Examples of the steps from `step` on, int32 (*axes, num_steps, batch_size).

        They come in shuffled epochs, unless `draws` says otherwise.
        """
        first, count = step * batch_size, num_steps * batch_size
        draws = draws or functools.partial(_shuffled, num_examples)
        tables = [draws(seed, first, count) for seed in self.seeds]
        return np.stack(tables).reshape(*self.axes, num_steps, batch_size)

    # --- metrics ---

    def row(self, rows: Sequence[dict[str, float]]) -> dict[str, Any]:
        """The rows of metrics of each seed as one, see `seed_metrics.row_of_seeds`."""
        return row_of_seeds(rows) if self.axes else rows[0]

    def metrics(self, each: Sequence[Metrics]) -> Metrics:
        """The metrics of each seed as one."""
        return SeedMetrics(tuple(each)) if self.axes else each[0]

    def evaluation(self, evaluate: Evaluation) -> Callable[[Any, Any], Metrics]:
        """Evaluates one seed after another, all devices sharing each batch."""

        def evaluate_all(params: Any, split: Any) -> Metrics:
            if self.axes:
                params = jax.device_get(params)
            return self.metrics([evaluate(one, split) for one in self.each(params)])

        return evaluate_all

    def behind(self, state: TrainState) -> str:
        """Words for the seeds whose state is behind the others; "" of one seed."""
        if not self.axes:
            return ""
        steps = jax.device_get(state.step)
        behind = np.flatnonzero(steps == steps.min())
        return f" of seed {', '.join(str(self.seeds[index]) for index in behind)}"


def _shuffled(num_examples: int, seed: int, start: int, count: int) -> Any:
    return example_indices(seed, num_examples, start, count)


def _part(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)
