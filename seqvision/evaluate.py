"""Evaluation of a trained run on a whole split, each example once."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from seqvision.config.data_schema import DECODING_FIELDS
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.config.validation import validate
from seqvision.data.corruptions import chosen_corruptions
from seqvision.data.dataset import SPLITS, Dataset, Split
from seqvision.errors import UserError, did_you_mean
from seqvision.inference.corruption_report import corruption_report
from seqvision.inference.corruption_table import check_layout
from seqvision.inference.decision import MEASURES, check_measure
from seqvision.inference.decision_curve import decision_report
from seqvision.inference.output_file import checked_output, write_rows
from seqvision.inference.stream_network import classifier_steps
from seqvision.runs.saved_run import Run, load_run, load_seeds, with_decoding
from seqvision.runs.trained_data import check_comparable, check_trained_with, load_trained_on
from seqvision.runtime import processes
from seqvision.runtime.console import say
from seqvision.runtime.mesh import create_mesh
from seqvision.tasks.base import Evaluation, Metrics, Task
from seqvision.tasks.from_config import create_task
from seqvision.tasks.metric_text import seeds_report
from seqvision.training.replicas import Replicas

Example = tuple[Any, Any]
"""A prediction and its label."""


@processes.exit_together(lambda: "run the same command again")
def evaluate_run(
    config: ConfigDict | Settings,
    workdir: str | Path,
    split_name: str,
    output: str = "",
    seed: int | None = None,
    csv_guard: bool = True,
    decide: str = "",
    corrupt: str = "",
    reference: str | Path = "",
) -> Metrics:
    """Evaluates a trained run on one split and prints its metrics, see `tasks`.

    Place of the data and batch size come from `config`, the network and its weights from `workdir`.
    Made lines may look otherwise than in training (`config.lines`). Of a run of several seeds it
    prints the mean, the standard deviation and the metrics of each.

    Args:
      config: see `configs/default.py`.
      workdir: a trained run.
      split_name: `train`, `validation` or `test`.
      output: a `.csv` or `.jsonl` file for the prediction of each example; "" for none.
      seed: of a run of several seeds, which one to evaluate, as if it were the only one.
      csv_guard: see `inference.output_file.write_rows`.
      decide: `probability` or `margin`: also prints accuracy against how much was seen, and the
        threshold calibrated on the validation split, see `inference.decision_curve`.
      corrupt: `all`, or some of `data.corruptions.STRENGTHS` with commas between them: also prints
        the errors on corrupted examples and writes them to the workdir, see
        `inference.corruption_report`.
      reference: a trained run to compare those errors to.

    Raises:
      UserError: no run, another network or data set than `config` says, no such split or seed; or
        an output of several seeds.
    """
    with processes.fail_together():
        _check_split(split_name)
        target, settings, workdir = checked_output(output), validate(config), Path(workdir)
        runs = load_seeds(workdir) if seed is None else [load_run(workdir, seed)]
        run = runs[0]
        _check_asked(runs, output, decide, corrupt)
        names = _chosen_corruptions(run, corrupt, reference)
        check_trained_with(run, settings)
        dataset = load_trained_on(run, settings)
        compared = _load_reference(run, settings, reference, dataset) if reference else None
    asked = (settings, split_name, output, seed, decide, corrupt, str(reference))
    processes.check_same(
        {
            "config and flags; give each the same command": asked,
            "--workdir; it must be where all processes see it": [one.step for one in runs],
        }
    )
    of_seed = f", seed {run.seed}" if seed is not None else ""
    on = f"{dataset.title} {split_name}{_which_lines(settings)}"
    say(f"{workdir}: step {run.step}{of_seed} on {on}")
    # The beam is no part of what was trained.
    task = create_task(
        dataclasses.replace(run.settings, reading=settings.reading), dataset.class_names
    )
    split = dataset.split(split_name)
    for line in task.infeasible(split_name, split):
        say(line)
    batch_size = settings.data.eval_batch_size
    evaluate = task.create_evaluation(run.model, create_mesh(), split.take, batch_size)
    examples: list[Example] = []
    keeps = target is not None or task.needs_predictions()
    metrics = _evaluated(runs, evaluate, split, examples if keeps else None)
    report = task.report(metrics, examples)
    if len(runs) > 1:
        report = seeds_report(metrics.row(), run.settings.seeds)
    for line in report:
        say(line)
    if target is not None:
        write_rows(_rows(task, split, examples), target, csv_guard)
        say(f"{len(examples)} predictions written to {target}")
    further = [decision_report(run, dataset, split_name, decide)] if decide else []
    if names:
        decoding = dataclasses.replace(run, task=task)
        further.append(
            corruption_report(decoding, split, split_name, names, batch_size, metrics, compared)
        )
    for line in itertools.chain(*further):
        say(line)
    return metrics


def _evaluated(
    runs: list[Run], evaluate: Evaluation, split: Split, examples: list[Example] | None
) -> Metrics:
    """The metrics of a run, whose predictions go to `examples`, or of its seeds."""
    if len(runs) > 1:
        metrics = [evaluate(run.params, split) for run in runs]
        return Replicas(runs[0].settings.seeds).metrics(metrics)

    def keep(prediction: Any, label: Any) -> None:
        assert examples is not None
        examples.append((prediction, label))

    return evaluate(runs[0].params, split, None if examples is None else keep)


def _check_split(name: str) -> None:
    if name not in SPLITS:
        raise UserError(
            f"--split: '{name}' is not known; choose one of {', '.join(SPLITS)}"
            f"{did_you_mean(name, SPLITS)}"
        )


def _check_asked(runs: list[Run], output: str, decide: str, corrupt: str) -> None:
    """Refuses flags that runs of this kind, or of several seeds, cannot follow."""
    if decide:
        if ":" in decide:
            raise UserError(
                f"--decide: '{decide}' has a threshold, and --mode=evaluate shows what each of them"
                f" gives; write --decide={' or --decide='.join(MEASURES)} (a threshold is for"
                " --mode=read)"
            )
        try:
            check_measure(decide)
            classifier_steps(runs[0])
        except UserError as error:
            raise UserError(f"--decide: {error}") from None
    one_seed = {
        "output": (output, "predictions are written"),
        "decide": (decide, "it is shown"),
        "corrupt": (corrupt, "errors are shown"),
    }
    for flag, (asked, what) in one_seed.items():
        if asked and len(runs) > 1:
            raise UserError(
                f"--{flag}: {runs[0].workdir} holds seeds {runs[0].seed} to {runs[-1].seed};"
                f" {what} for one of them: choose it with --seed"
            )


def _chosen_corruptions(run: Run, corrupt: str, reference: str | Path) -> tuple[str, ...]:
    if not corrupt:
        if reference:
            raise UserError(
                "--reference: it has no effect without --corrupt; leave it out or add --corrupt=all"
            )
        return ()
    check_layout(run)
    return chosen_corruptions(corrupt)


def _load_reference(run: Run, settings: Settings, reference: str | Path, dataset: Dataset) -> Run:
    """The run to compare to; lines are decoded as the config says, as those of the run are."""
    try:
        compared = load_run(expanded(str(reference), "--reference"))
        check_layout(compared)
    except UserError as error:
        raise UserError(f"--reference: {str(error).removeprefix('--corrupt: ')}") from None
    check_comparable(compared, run, dataset)
    if not run.settings.reads_text:
        return compared
    fields = {name: getattr(settings.reading, name) for name in DECODING_FIELDS}
    return with_decoding(compared, fields)


def _rows(task: Task, split: Split, examples: list[Example]) -> list[dict[str, Any]]:
    """A row for each example: its name or number, its label, its prediction."""
    names = split.names or range(len(split))
    return [
        {"file": name, "truth": task.truth(label), **task.prediction_row(prediction)}
        for name, (prediction, label) in zip(names, examples, strict=True)
    ]


def _which_lines(settings: Settings) -> str:
    """Which of the lines that can be made, since a run may be evaluated on others than its own."""
    if settings.data.source != "digit_lines":
        return ""
    lines = settings.lines
    symbols = f"{lines.min_symbols} to {lines.max_symbols} symbols"
    return f": {lines.level} lines of {symbols}, as many as {lines.width} columns hold"


def run(
    settings: Settings,
    workdir: Path,
    split: str,
    output: str,
    csv_guard: bool,
    seed: int | None,
    decide: str,
    corrupt: str,
    reference: str,
) -> int:
    """`--mode=evaluate`; returns the exit code."""
    evaluate_run(settings, workdir, split, output, seed, csv_guard, decide, corrupt, reference)
    return 0
