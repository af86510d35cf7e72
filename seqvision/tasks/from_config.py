"""The figures of a whole split, each example counted once whatever the batch size."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh

from seqvision.config.schema import Settings
from seqvision.data.batching import padded_indices, shared_batch_size
from seqvision.data.dataset import AnySplit
from seqvision.data.device_feed import moderate_size, put_batch_rows, streamed_batches
from seqvision.data.preprocessing import Windows
from seqvision.data.streamed import StreamedSplit
from seqvision.models import create_model, create_reader
from seqvision.models.cells.base import CellOptions
from seqvision.runtime.mesh import DATA_AXIS, batch_sharding, replicated
from seqvision.runtime.transfer import to_devices
from seqvision.tasks.base import Classification, Objective, TextReading
from seqvision.tasks.metrics import Metrics
from seqvision.tasks.reading import make_read_step, transcripts
from seqvision.tasks.reading_metrics import ReadingMetrics, reading_metrics
from seqvision.tasks.seed_metrics import SeedMetrics, of_seed
from seqvision.training.steps import Take, make_eval_step

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
        params = to_devices(params, replicated(mesh))
        size = shared_batch_size(moderate_size(split, batch_size), len(split), mesh)
        rows, sums = put_batch_rows(size, mesh), []
        for examples, mask in streamed_batches(split, size, mesh):
            placed_mask = to_devices(mask, batch_sharding(mesh))
            # Waits for it, lest batches that were read pile up on the devices.
            sums.append(jax.device_get(streamed_step(params, examples, rows, placed_mask)))
        return Metrics.of(*sums)

    def classify(params: Any, split: AnySplit) -> Metrics:
        if isinstance(split, StreamedSplit):
            return classify_streamed(params, split)
        params, arrays = to_devices((params, split.arrays), replicated(mesh))
        sums = []
        for batch in padded_indices(len(split), shared_batch_size(batch_size, len(split), mesh)):
            indices, mask = to_devices(batch, batch_sharding(mesh))
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


def model_of(settings: Settings, num_classes: int) -> nn.Module:
    """The network that the settings describe; `num_classes` does not count the blank of CTC."""
    fields = dataclasses.asdict(settings.model) | {"axis_name": DATA_AXIS}
    cell_options = [field.name for field in dataclasses.fields(CellOptions)]
    fields["options"] = CellOptions(**{name: fields.pop(name) for name in cell_options})
    if not settings.reads_text:
        return create_model(num_classes=num_classes, **fields)
    for unused in ("readout", "patch_size"):
        del fields[unused]
    return create_reader(num_classes=num_classes + 1, delay=settings.reading.delay, **fields)


def objective_of(settings: Settings, num_classes: int) -> Objective:
    """What the settings train for."""
    if settings.reads_text:
        return TextReading(settings.reading.delay)
    loss = settings.loss
    return Classification(num_classes, loss.label_smoothing, loss.step_weight)


def windows_of(settings: Settings) -> Windows | None:
    """How long clips are cut; None where the network reads them whole."""
    data = settings.data
    return Windows(data.window, data.window_stride or data.window) if data.window else None


def read_shape(settings: Settings, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what the network reads at once: an image, a clip or a window of one."""
    if not settings.data.window:
        return input_shape
    num_frames, *image_shape = input_shape
    return (min(num_frames, settings.data.window), *image_shape)
