"""A whole split, each example once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.batching import padded_indices, shared_batch_size
from seqvision.data.dataset import SPLITS, AnySplit, ArraySplit, Split
from seqvision.data.device_feed import moderate_size, streamed_batches
from seqvision.data.from_config import load_dataset
from seqvision.data.streamed import StreamedSplit
from seqvision.errors import UserError, did_you_mean
from seqvision.evaluate_lines import evaluate_lines
from seqvision.inference.output_file import checked_output, prediction_row, write_rows
from seqvision.inference.predictions import Prediction, predictions
from seqvision.runs.compatibility import differences
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.result import format_metric, format_row
from seqvision.runs.saved_run import Run, load_run, load_seeds
from seqvision.runtime import processes
from seqvision.runtime.console import aligned, on_terminal, say
from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated
from seqvision.runtime.transfer import to_devices, to_host
from seqvision.shapes import HostMask
from seqvision.tasks.base import TextReading
from seqvision.tasks.from_config import create_evaluation, objective_of, windows_of
from seqvision.tasks.infeasible_lines import infeasible_lines
from seqvision.tasks.metrics import Metrics
from seqvision.tasks.reading_metrics import ReadingMetrics
from seqvision.tasks.seed_metrics import SeedMetrics
from seqvision.training.steps import make_predict_step

# Fields of `config.data` that decide what the examples are, but not where they lie.
_EXAMPLE_FIELDS = (
    "source",
    "name",
    "kind",
    "height",
    "width",
    "channels",
    "validation_examples",
    "validation_fraction",
    "test_fraction",
    "window",
    "window_stride",
)


def predict_split(
    run: Run, split: AnySplit, batch_size: int, mesh: Mesh
) -> tuple[list[Prediction], list[int]]:
    """What a run says about each example of a split, in order, and their labels."""
    windows = windows_of(run.settings)
    params = to_devices(run.params, replicated(mesh))
    step = make_predict_step(run.model, mesh, windows)
    found: list[Prediction] = []
    labels: list[int] = []
    if isinstance(split, StreamedSplit):
        size = shared_batch_size(moderate_size(split, batch_size), len(split), mesh)
        batches = streamed_batches(split, size, mesh)
    else:
        size = shared_batch_size(batch_size, len(split), mesh)
        batches = _resident_batches(split, size, mesh)
    for examples, mask in batches:
        inputs, lengths = examples["inputs"], examples.get("lengths")
        answer = step(params, inputs, lengths)
        answer, lengths, batch_labels = to_host((answer, lengths, examples["labels"]))
        count = int(mask.sum())
        found.extend(predictions(answer, lengths, windows, count))
        labels.extend(batch_labels[:count].tolist())
    return found, labels


def _resident_batches(
    split: Split, batch_size: int, mesh: Mesh
) -> Iterator[tuple[dict[str, Any], HostMask]]:
    """See `data.device_feed.streamed_batches`; of a split that lies on the devices as a whole."""
    arrays, take = to_devices(split.arrays, replicated(mesh)), jax.jit(split.take)
    for indices, mask in padded_indices(len(split), batch_size):
        yield take(arrays, to_devices(indices, batch_sharding(mesh))), mask


@processes.exit_together(lambda: "run the same command again")
def evaluate_run(
    config: ConfigDict | Settings,
    workdir: Path,
    split_name: str,
    output: str = "",
    seed: int | None = None,
) -> Metrics | ReadingMetrics | SeedMetrics:
    """Evaluates a trained run on one split and prints accuracy, loss, count, per-class accuracy.

    Of lines of writing it prints the figures of `tasks.reading_metrics.ReadingMetrics`; made lines
    may look otherwise than in training (`config.lines`). Of clips cut into windows it also prints
    the windows' accuracy, and of a network that speaks after every step the accuracy after each.
    Where the data lies and the batch size come from `config`, the network and its weights
    from `workdir`. Of a run of several seeds it prints the mean, the standard deviation and each of
    the figures.

    Args:
      config: see `configs/default.py`.
      workdir: a trained run.
      split_name: `train`, `validation` or `test`.
      output: a `.csv` or `.jsonl` file for what is said about each example; "" for none.
      seed: of a run of several seeds, which one to evaluate, as if it were the only one.

    Raises:
      UserError: no run, another network or data set than `config` says, no such split or seed; or
        an output of several seeds.
    """
    with processes.fail_together():
        if split_name not in SPLITS:
            raise UserError(
                f"--split: '{split_name}' is not known; choose one of {', '.join(SPLITS)}"
                f"{did_you_mean(split_name, SPLITS)}"
            )
        target = checked_output(output)
        settings = validate(config)
        runs = load_seeds(workdir, say) if seed is None else [load_run(workdir, say, seed)]
        run = runs[0]
        if len(runs) > 1 and target is not None:
            raise UserError(
                f"--output: {workdir} holds the seeds {run.seed} to {runs[-1].seed}, and each says"
                " something else; name one with --seed"
            )
        _check_trained_with(run, settings, workdir)
        dataset = load_dataset(settings, say, on_terminal())
        if not run.data.describes(dataset):
            raise UserError(
                f"{workdir}: trained on other data: fingerprint or classes of {dataset.name} are"
                f" not those in {ENVIRONMENT}; name the data it was trained on with"
                f" --config.data.dir or --config.data.path{run.data.hint(dataset)}"
            )
    processes.check_same(
        {
            "config and flags; give each the same command": (settings, split_name, output, seed),
            "--workdir; it has to lie where all hosts see it": [one.step for one in runs],
        }
    )
    split, mesh = dataset.split(split_name), create_mesh()
    batch_size = settings.data.eval_batch_size
    of_seed = f", seed {run.seed}" if seed is not None else ""
    on = f"{dataset.title} {split_name}{_which_lines(settings)}"
    say(f"{workdir}: step {run.step}{of_seed} on {on}")
    if settings.reads_text:
        for line in infeasible_lines(split_name, split, TextReading(run.settings.reading.delay)):
            say(line)
    objective = objective_of(run.settings, dataset.num_classes)
    windows = windows_of(run.settings)
    evaluate = create_evaluation(settings, run.model, mesh, split.take, objective, windows)
    if len(runs) > 1:
        of_seeds = SeedMetrics(tuple(evaluate(one.params, split) for one in runs))
        for line in report_of_seeds(of_seeds.row(), run.settings.seeds):
            say(line)
        return of_seeds
    if settings.reads_text:
        assert not isinstance(split, StreamedSplit)  # Lines are not.
        return evaluate_lines(run, settings, split, mesh, dataset.class_names, target)
    metrics = evaluate(run.params, split)
    assert isinstance(metrics, Metrics)
    for line in report(metrics, dataset.class_names):
        say(line)
    per_step = run.settings.model.readout == "per_step"
    if target is None and not per_step and not run.settings.data.window:
        return metrics
    found, labels = predict_split(run, split, batch_size, mesh)
    for line in _details(found, labels, per_step):
        say(line)
    if target is not None:
        named = isinstance(split, ArraySplit | StreamedSplit) and split.names
        names = named or range(len(split))
        rows = [
            {
                "file": name,
                "truth": dataset.class_names[label],
                **prediction_row(prediction, dataset.class_names),
            }
            for name, label, prediction in zip(names, labels, found, strict=True)
        ]
        write_rows(rows, target)
        say(f"{len(rows)} predictions written to {target}")
    return metrics


def _which_lines(settings: Settings) -> str:
    """Which of the lines that can be made, since a run may be evaluated on others than its own."""
    if settings.data.source != "digit_lines":
        return ""
    lines = settings.lines
    symbols = f"{lines.min_symbols} to {lines.max_symbols} symbols"
    return f": {lines.level} lines of {symbols}, as many as {lines.width} columns hold"


def _check_trained_with(run: Run, settings: Settings, workdir: Path) -> None:
    """Refuses a config of another network, or of other examples, than the run's."""
    fixed = {f"data.{field}" for field in _EXAMPLE_FIELDS}
    if settings.data.source == "moving_digits":
        fixed.add("seed")
    free = ("model.execution", "reading.beam_width")
    differing = [
        f"{key} {text}"
        for key, text in differences(run.settings, settings).items()
        if (key.startswith(("model.", "clips.", "reading.")) or key in fixed) and key not in free
    ]
    if differing:
        raise UserError(
            f"{workdir}: trained with another config: {'; '.join(differing)}; name its config with"
            " --config, or another run with --workdir"
        )


def _details(found: list[Prediction], labels: list[int], per_step: bool) -> list[str]:
    """Accuracy of the windows, and after each step."""
    lines: list[str] = []
    windows = [
        window["classes"] == label
        for prediction, label in zip(found, labels, strict=True)
        for window in prediction.get("windows", [])
    ]
    if len(windows) > len(found):
        lines.append(f"accuracy per window  {np.mean(windows):.2%} of {len(windows)}")
    if per_step:
        right: dict[int, list[bool]] = {}
        for prediction, label in zip(found, labels, strict=True):
            said = [prediction] if "steps" in prediction else prediction["windows"]
            for part in said:
                for step, classes in enumerate(part["steps"].argmax(axis=-1)):
                    right.setdefault(step + 1, []).append(classes == label)
        lines.append("accuracy after each step")
        lines += [
            f"  {step:>4}  {np.mean(hits):>7.2%} of {len(hits)}" for step, hits in right.items()
        ]
    return lines


def report_of_seeds(row: dict[str, Any], seeds: range) -> Iterator[str]:
    """Lines with the mean of each figure, its standard deviation, and a table of the seeds."""
    for name, text in format_row(row).items():
        yield f"{name.replace('_', ' '):<14}  {text}"
    each = row["each"]
    yield from aligned(
        [
            ("seed", *(name.replace("_", " ") for name in each)),
            *(
                (str(seed), *(format_metric(name, values[index]) for name, values in each.items()))
                for index, seed in enumerate(seeds)
            ),
        ]
    )


def report(metrics: Metrics, class_names: tuple[str, ...]) -> list[str]:
    """Lines with accuracy, loss, count and the accuracy of each class."""
    lines = [
        f"accuracy  {metrics.accuracy:.2%}",
        f"loss      {metrics.loss:.4f}",
        f"count     {metrics.count}",
        "accuracy per class",
    ]
    width = max(len(name) for name in class_names)
    for name, accuracy in zip(class_names, metrics.class_accuracy, strict=True):
        text = "no examples" if accuracy is None else f"{accuracy:.2%}"
        lines.append(f"  {name:<{width}}  {text:>7}")
    return lines


def run(settings: Settings, workdir: Path, split: str, output: str, seed: int | None) -> int:
    """`--mode=evaluate`; returns the exit code."""
    evaluate_run(settings, workdir, split, output, seed)
    return 0
