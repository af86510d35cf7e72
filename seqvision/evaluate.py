"""Evaluation of a trained run on a whole split, each example once."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.dataset import Dataset, Split
from seqvision.inference.corruption_report import corruption_report
from seqvision.inference.decision_curve import decision_report
from seqvision.inference.evaluation_request import EvaluationRequest
from seqvision.inference.output_file import checked_output, write_rows
from seqvision.report import report_again
from seqvision.runs.evaluations import evaluation_changes, save_evaluation, save_temperature
from seqvision.runs.saved_run import Run, load_run, load_seeds, of_features
from seqvision.runs.trained_data import check_trained_with, load_trained_on
from seqvision.runtime import processes
from seqvision.runtime.console import on_terminal, say
from seqvision.runtime.mesh import create_mesh
from seqvision.tasks.base import Evaluation, Metrics, Task
from seqvision.tasks.evaluation_report import (
    Asked,
    calibration_facts,
    evaluation_report,
    last_frame,
    report_lines,
)
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
    **more: Any,
) -> Metrics:
    """Evaluates a trained run on one split and prints its metrics, see `tasks`.

    All metrics are written to `evaluation_SPLIT.json` in the workdir, but for texts and for several
    seeds at once.

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
      more: the other attributes of `inference.evaluation_request.EvaluationRequest`.

    Raises:
      UserError: no run, another network or data set than `config` says, no such split or seed; or
        an output of several seeds.
    """
    request = EvaluationRequest(split_name, output, seed, **more)
    with processes.fail_together():
        request.check()
        target, settings, workdir = checked_output(output), validate(config), Path(workdir)
        execution = settings.model.execution
        one_seed = seed is not None
        runs = [load_run(workdir, seed, execution)] if one_seed else load_seeds(workdir, execution)
        run = runs[0]
        request.check_runs(runs)
        names = request.corruptions(run)
        check_trained_with(run, settings)
        runs = [of_features(one, execution) for one in runs]
        run = runs[0]
        dataset = load_trained_on(run, settings)
        compared = request.load_reference(run, settings, dataset)
    processes.check_same(
        {
            "config and flags; give each the same command": (settings, request),
            "--workdir; it must be where all processes see it": [one.step for one in runs],
        }
    )
    changes = evaluation_changes(run, settings, split_name)
    of_seed, which = f", seed {run.seed}" * (seed is not None), _which(settings, changes)
    say(f"{workdir}: step {run.step}{of_seed} on {dataset.title} {split_name}{which}")
    # The beam is no part of what was trained.
    trained = dataclasses.replace(run.settings, reading=settings.reading)
    task = create_task(trained, dataset.class_names, run.data.targets)
    split = dataset.split(split_name)
    _say_all(task.infeasible(split_name, split))
    size = settings.data.eval_batch_size
    evaluate = task.create_evaluation(run.model, create_mesh(), split.take, size)
    examples: list[Example] = []
    keeps = target is not None or not task.reads_lines or task.needs_predictions()
    metrics = _evaluated(runs, evaluate, split, examples if keeps else None)
    several = seeds_report(metrics.row(), run.settings.seeds) if len(runs) > 1 else None
    _say_all(several or task.report(metrics, examples))
    if examples and not task.reads_lines:
        temperature = _fitted(run, task, evaluate, dataset) if request.calibrate else None
        _say_all(_all_metrics(run, task, dataset, request, examples, temperature, changes))
    if target is not None:
        write_rows(_rows(task, split, examples), target, csv_guard)
        say(f"{len(examples)} predictions written to {target}")
    if request.decide:
        _say_all(decision_report(run, dataset, split_name, request.decide))
    if names:
        decoding = dataclasses.replace(run, task=task)
        arguments = decoding, split, split_name, names, size, metrics, compared, changes
        _say_all(corruption_report(*arguments))
        report_again(workdir, settings)
    return metrics


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _evaluated(
    runs: list[Run], evaluate: Evaluation, split: Split, examples: list[Example] | None
) -> Metrics:
    """The metrics of a run, whose predictions go to `examples`, or of its seeds."""
    if len(runs) > 1:
        metrics = [evaluate(run.params, split) for run in runs]
        return Replicas(runs[0].settings.seeds).metrics(metrics)
    keep = None if examples is None else functools.partial(_keep, examples)
    return evaluate(runs[0].params, split, keep)


def _keep(examples: list[Example], prediction: Any, label: Any) -> None:
    examples.append((prediction, label))


def _all_metrics(
    run: Run,
    task: Task,
    dataset: Dataset,
    request: EvaluationRequest,
    examples: list[Example],
    temperature: float | None,
    changes: dict[str, Any],
) -> Iterator[str]:
    """Keeps all metrics of a split with the run; lines about them."""
    name = request.split_name
    scores, groups = task.scores(examples), dataset.split(name).groups
    assert scores is not None
    asked = Asked(request.specificity, request.bootstrap, run.seed, _with_progress)
    found = evaluation_report(scores, groups, len(examples), asked)
    if run.data.targets.kind == "steps":
        found["last_frame"] = last_frame(scores)
    if temperature is not None:
        found["calibration"] = calibration_facts(scores, temperature)
    printed = ("accuracy", "loss") if run.data.targets.kind == "class" else ()
    yield from report_lines(found, printed, bool(groups))
    yield save_evaluation(run, name, found, changes)


def _with_progress(numbers: Iterable[int]) -> Iterable[int]:
    return tqdm(numbers, unit="sample", disable=not on_terminal(), leave=False)


def _fitted(run: Run, task: Task, evaluate: Evaluation, dataset: Dataset) -> float:
    """The temperature of the validation split, which is kept with the run."""
    examples: list[Example] = []
    evaluate(run.params, dataset.split("validation"), functools.partial(_keep, examples))
    scores = task.scores(examples)
    assert scores is not None
    temperature = scores.fit_temperature()
    save_temperature(run, {**calibration_facts(scores, temperature), "count": scores.count})
    return temperature


def _rows(task: Task, split: Split, examples: list[Example]) -> list[dict[str, Any]]:
    """A row for each example: its name or number, its label, its prediction."""
    names = split.names or range(len(split))
    return [
        {"file": name, **task.truth_fields(label), **task.prediction_row(prediction)}
        for name, (prediction, label) in zip(names, examples, strict=True)
    ]


def _which(settings: Settings, changes: Mapping[str, Any]) -> str:
    """Which examples of those that can be made: a run may be evaluated on others than its own."""
    words = ""
    if settings.makes_shell_games:
        words = f": {settings.clips.swaps} swaps of {settings.clips.cups} cups"
    elif settings.data.source == "digit_lines":
        lines = settings.lines
        symbols = f"{lines.min_symbols} to {lines.max_symbols} symbols"
        words = f": {lines.level} lines of {symbols}, as many as {lines.width} columns hold"
    changed = ", ".join(f"{name}={value}" for name, value in changes.items())
    return f"{words}; not as trained: {changed}" if changes else words


def run(
    settings: Settings,
    workdir: Path,
    split: str,
    output: str,
    csv_guard: bool,
    seed: int | None,
    decide: str,
    calibrate: bool,
    bootstrap: int,
    specificity: float,
    corrupt: str,
    reference: str,
) -> int:
    """`--mode=evaluate`; returns the exit code."""
    evaluate_run(
        settings,
        workdir,
        split,
        output,
        seed,
        csv_guard,
        decide=decide,
        calibrate=calibrate,
        bootstrap=bootstrap,
        specificity=specificity,
        corrupt=corrupt,
        reference=reference,
    )
    return 0
