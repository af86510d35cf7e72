"""The figures of a whole split, each example counted once whatever the batch size."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh

from seqvision.config.schema import Settings
from seqvision.data.batching import padded_indices, rounded_up
from seqvision.data.dataset import AnySplit
from seqvision.data.device_feed import moderate_size, put_batch_rows, streamed_batches
from seqvision.data.streamed import StreamedSplit
from seqvision.runtime.transfer import place
from seqvision.tasks.base import Classification, Objective, TextReading
from seqvision.tasks.metrics import Metrics
from seqvision.tasks.reading import make_read_step, transcripts
from seqvision.tasks.reading_metrics import ReadingMetrics, reading_metrics
from seqvision.tasks.seed_metrics import SeedMetrics
from seqvision.training.state import of_seed, replicated
from seqvision.training.steps import Take, Windows, batch_sharding, make_eval_step

Evaluation = Callable[[Any, AnySplit], Metrics | ReadingMetrics]
"""`evaluate(params, split)`."""
SeedsEvaluation = Callable[[Any, AnySplit], SeedMetrics]
"""The same for weights of several seeds, (R, ...)."""


def create_evaluation(
    settings: Settings,
    model: nn.Module,
    mesh: Mesh,
    take: Take,
    objective: Objective,
    windows: Windows | None,
) -> Evaluation:
    """What a network of this objective is judged by.

    Args:
      settings: batch size and beam.
      model: images or clips in [0, 1] to logits.
      mesh: the devices.
      take: see `data.dataset.Split.take`; the same for all splits.
      objective: what it was trained for.
      windows: how clips are cut.
    """
    batch_size = settings.data.eval_batch_size
    if isinstance(objective, TextReading):
        read_step = make_read_step(model, mesh, take, objective, settings.reading.beam_width)

        def read(params: Any, split: AnySplit) -> ReadingMetrics:
            assert not isinstance(split, StreamedSplit)  # Lines are not.
            size = shared_batch_size(batch_size, len(split), mesh)
            return reading_metrics(
                transcripts(read_step, params, split, size, mesh), objective.delay
            )

        return read
    assert isinstance(objective, Classification)
    eval_step = make_eval_step(model, mesh, take, objective, windows)
    streamed_step = make_eval_step(model, mesh, take, objective, windows, streamed=True)

    def classify_streamed(params: Any, split: StreamedSplit) -> Metrics:
        params = place(params, replicated(mesh))
        size = shared_batch_size(moderate_size(split, batch_size), len(split), mesh)
        rows, sums = put_batch_rows(size, mesh), []
        for examples, mask in streamed_batches(split, size, mesh):
            placed_mask = place(mask, batch_sharding(mesh))
            # Waits for it, lest batches that were read pile up on the devices.
            sums.append(jax.device_get(streamed_step(params, examples, rows, placed_mask)))
        return Metrics.of(*sums)

    def classify(params: Any, split: AnySplit) -> Metrics:
        if isinstance(split, StreamedSplit):
            return classify_streamed(params, split)
        params, arrays = place((params, split.arrays), replicated(mesh))
        sums = []
        for batch in padded_indices(len(split), shared_batch_size(batch_size, len(split), mesh)):
            indices, mask = place(batch, batch_sharding(mesh))
            sums.append(eval_step(params, arrays, indices, mask))
        return Metrics.of(*jax.device_get(sums))

    return classify


def each_seed(evaluate: Evaluation, num_seeds: int) -> SeedsEvaluation:
    """Evaluates the weights of one seed after those of another, all devices sharing each batch."""

    def evaluate_all(params: Any, split: AnySplit) -> SeedMetrics:
        params = jax.device_get(params)
        return SeedMetrics(
            tuple(evaluate(of_seed(params, index), split) for index in range(num_seeds))
        )

    return evaluate_all


def shared_batch_size(batch_size: int, num_examples: int, mesh: Mesh) -> int:
    """Rounded up to a multiple of the devices; no larger than the split needs."""
    return rounded_up(min(batch_size, num_examples), mesh.size)
