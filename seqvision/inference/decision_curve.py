"""The curve of a decision rule: accuracy against how much was seen, for each threshold."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from seqvision.data.dataset import ArraySplit, Dataset, Split
from seqvision.data.device_feed import arrays_spec
from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.inference.decision import DecisionRule, check_measure
from seqvision.inference.stream_engines import classifier_steps
from seqvision.models.classifier import SequenceClassifier
from seqvision.models.steps import read_steps, start_memory
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run, check_targets
from seqvision.runtime.console import aligned
from seqvision.runtime.mesh import (
    BATCH_SPEC,
    create_mesh,
    shard_function,
)
from seqvision.tasks.split_results import split_results

_DECADES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
THRESHOLDS = tuple(round(1 - n * unit, 7) for unit in _DECADES for n in range(9, 0, -1))
"""0.1, 0.2, ... 0.9, 0.91, ... 0.99, 0.991, ... 0.999999."""
_SHOWN = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999)


class Beliefs(NamedTuple):
    """What the network thought of N examples after each of T steps.

    Attributes:
      sure: float32 (N, T), the measure of each belief; 0 behind the end of a clip.
      winners: int (N, T), its most probable class; -1 behind the end of a clip.
      labels: int (N,), the classes.
      lengths: int (N,), steps of each example.
    """

    sure: np.ndarray
    winners: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Bool (N, T), whether the most probable class was the label."""
        return self.winners == self.labels[:, None]


class Point(NamedTuple):
    """What a threshold gives.

    Attributes:
      threshold: None: all steps are read.
      accuracy: of the decisions, 0 to 1.
      seen: the fraction of an example's steps that are read before it is decided, on average.
      early: the fraction of the examples that are decided before their last step.
    """

    threshold: float | None
    accuracy: float
    seen: float
    early: float


@dataclasses.dataclass(frozen=True)
class DecisionCurve:
    """Accuracy against how much was seen.

    Attributes:
      measure: see `decision.DecisionRule`.
      points: for each of THRESHOLDS in their order, and last for reading all.
      rule: with the smallest threshold that, as all higher ones, keeps the accuracy that was asked
        for; None where only reading all does.
    """

    measure: str
    points: tuple[Point, ...]
    rule: DecisionRule | None

    def point(self, threshold: float | None) -> Point:
        """That of one of THRESHOLDS, or of None."""
        return next(point for point in self.points if point.threshold == threshold)


def decision_curve(
    run: Run, split: Split, measure: str = "probability", within: float = 0.005
) -> DecisionCurve:
    """Calibrates a decision rule.

    Args:
      run: a trained run whose steps come one by one, see `StreamClassifier`.
      split: labelled images or clips that were not trained on. Of clips that are longer than
        `config.data.window`, the first window is read.
      measure: `probability` or `margin`.
      within: how much accuracy may be lost against reading all: 0.005 is 0.5 points.

    Raises:
      UserError: the run needs whole images, the split is empty, or an argument is wrong.
    """
    check_measure(measure)
    check_targets(run, "a decision")
    if not 0 <= within <= 1:
        raise UserError(f"within: {within}; the accuracy that may be lost is 0 to 1, such as 0.005")
    if len(split) == 0:
        raise UserError(
            f"{run.workdir}: there are no examples to calibrate a decision on; use a run that keeps"
            " some for validation (config.data.validation_examples or validation_fraction)"
        )
    return curve_of(read_beliefs(run, split, measure), measure, within)


def read_beliefs(
    run: Run, split: Split, measure: str, advance: Callable[[int], Any] = lambda count: None
) -> Beliefs:
    """What the network thinks of each example after each step, in batches on all devices.

    Args:
      run, split, measure: see `decision_curve`.
      advance: called with the number of examples of each batch that is read.
    """
    mesh = create_mesh()
    step = _belief_step(run, split, measure, mesh)
    found: list[tuple[np.ndarray, ...]] = []
    size = run.settings.data.eval_batch_size
    for outputs, count in split_results(step, run.params, split, size, mesh):
        found.append(tuple(array[:count] for array in outputs))
        advance(count)
    sures, winners, labels, lengths = zip(*found, strict=True)
    return Beliefs(
        _joined(sures, 0), _joined(winners, -1), np.concatenate(labels), np.concatenate(lengths)
    )


def _joined(parts: Sequence[np.ndarray], fill: int) -> np.ndarray:
    """Arrays (n, T) below each other, each filled up to the longest T."""
    most = max(part.shape[1] for part in parts)

    def filled(part: np.ndarray) -> np.ndarray:
        return np.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values=fill)

    return np.concatenate([filled(part) for part in parts])


def _belief_step(run: Run, split: Split, measure: str, mesh: Mesh) -> Callable[..., Any]:
    """Compiles `step(params, arrays, indices, mask) -> ` the fields of `Beliefs` of a batch."""
    axis, name = classifier_steps(run)
    model, window = run.model, run.settings.data.window
    assert isinstance(model, SequenceClassifier)

    def beliefs(params: Any, arrays: Any, indices: Any, mask: Any) -> Any:
        batch = split.take(arrays, indices)
        inputs, lengths = batch["inputs"], batch.get("lengths")
        steps = jnp.moveaxis(inputs, axis + 1, 1)
        if name == "pixels":
            steps = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        if lengths is None:
            lengths = jnp.full(len(inputs), steps.shape[1], jnp.int32)
        elif window:
            steps, lengths = steps[:, :window], jnp.minimum(lengths, window)
        memory = jax.tree.map(jnp.asarray, start_memory(model, len(inputs)))
        logits, _ = read_steps(model, params, to_unit_range(steps), lengths, memory)
        probabilities = jax.nn.softmax(logits)
        winners = probabilities.argmax(axis=-1).astype(jnp.int32)
        first = highest = probabilities.max(axis=-1)
        if measure == "margin" and probabilities.shape[-1] > 1:
            two, _ = jax.lax.top_k(probabilities, 2)
            first = highest - two[..., 1]
        is_step = jnp.arange(steps.shape[1])[None] < lengths[:, None]
        sure, winners = jnp.where(is_step, first, 0), jnp.where(is_step, winners, -1)
        return sure, winners, batch["labels"], lengths

    in_specs = (PartitionSpec(), arrays_spec(split.is_streamed), BATCH_SPEC, BATCH_SPEC)
    return jax.jit(shard_function(beliefs, mesh, in_specs, BATCH_SPEC))


def curve_of(beliefs: Beliefs, measure: str, within: float) -> DecisionCurve:
    """The curve of beliefs whose `sure` are of that measure; see `decision_curve`."""
    points = tuple(_point(beliefs, threshold) for threshold in (*THRESHOLDS, None))
    least, chosen = points[-1].accuracy - within, None
    for point in reversed(points[:-1]):
        if point.accuracy < least:
            break
        chosen = point.threshold
    rule = None if chosen is None else DecisionRule(measure, chosen)
    return DecisionCurve(measure, points, rule)


def _point(beliefs: Beliefs, threshold: float | None) -> Point:
    sure, correct, lengths = beliefs.sure, beliefs.correct, beliefs.lengths
    last = lengths - 1
    decided = last
    if threshold is not None:
        is_sure = sure >= np.float32(threshold)
        decided = np.where(is_sure.any(axis=1), is_sure.argmax(axis=1), last)
    accuracy = correct[np.arange(len(correct)), decided].mean()
    seen = ((decided + 1) / lengths).mean()
    return Point(threshold, float(accuracy), float(seen), float((decided < last).mean()))


def decision_report(run: Run, dataset: Dataset, split_name: str, measure: str) -> Iterator[str]:
    """Lines for people: the curve of a split, and the rule calibrated on the validation split."""
    within = 0.005
    calibrated = decision_curve(run, dataset.split("validation"), measure, within)
    shown = calibrated
    if split_name != "validation":
        shown = decision_curve(run, dataset.split(split_name), measure, within)
    _, steps = classifier_steps(run)
    yield f"accuracy of {split_name} against what was seen, decided by {measure}"
    chosen = calibrated.rule.threshold if calibrated.rule else None
    rows = [("threshold", f"{steps} seen", "decided early", "accuracy")]
    for point in shown.points:
        if point.threshold is None or point.threshold in (*_SHOWN, chosen):
            name = "read all" if point.threshold is None else f"{point.threshold:g}"
            rows.append((name, f"{point.seen:.1%}", f"{point.early:.1%}", f"{point.accuracy:.2%}"))
    yield from aligned(rows)
    if calibrated.rule is None:
        yield f"no threshold keeps the accuracy of validation within {within:.1%}: read all"
    else:
        point = calibrated.point(chosen)
        yield (
            f"smallest threshold that keeps the accuracy of validation within {within:.1%}:"
            f" --decide={calibrated.rule} (accuracy {point.accuracy:.2%}, {point.seen:.1%} of the"
            f" {steps} seen)"
        )


def labelled(data: DataFacts, inputs: Any, labels: Any, lengths: Any = None) -> ArraySplit:
    """Images or clips and their labels as a split.

    Args:
      data: facts about those in training.
      inputs, labels, lengths: see `data.dataset.ArraySplit`; a channel axis of 1 may be left out.

    Raises:
      ValueError: arrays of other shapes, types or values.
    """
    inputs, labels, shape = np.asarray(inputs), np.asarray(labels), data.input_shape
    if inputs.ndim == len(shape) and shape[-1] == 1:
        inputs = inputs[..., None]
    first = 2 if data.of_clips else 1
    if inputs.dtype != np.uint8 or inputs.shape[first:] != shape[first - 1 :]:
        wanted = ", ".join(["N", *["T"] * data.of_clips, *map(str, shape[first - 1 :])])
        raise ValueError(
            f"inputs are {inputs.dtype} {inputs.shape}; this run reads uint8 ({wanted})"
        )
    classes = len(data.class_names)
    is_class = labels.dtype.kind in "iu" and labels.shape == inputs.shape[:1]
    if not is_class or ((labels < 0) | (labels >= classes)).any():
        raise ValueError(
            f"labels are {labels.dtype} {labels.shape}; needed are {len(inputs)} whole numbers, 0"
            f" to {classes - 1}"
        )
    if data.of_clips:
        frames = inputs.shape[1]
        lengths = np.full(len(inputs), frames) if lengths is None else np.asarray(lengths)
        is_count = lengths.dtype.kind in "iu" and lengths.shape == labels.shape
        if not is_count or ((lengths < 1) | (lengths > frames)).any():
            raise ValueError(
                f"lengths are {lengths.dtype} {lengths.shape}; needed are {len(inputs)} whole"
                f" numbers, 1 to {frames}"
            )
        lengths = lengths.astype(np.int32)
    elif lengths is not None:
        raise ValueError("lengths: images have none; leave them out")
    return ArraySplit(inputs, labels.astype(np.int32), lengths)
