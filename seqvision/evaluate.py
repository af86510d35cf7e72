"""Evaluation of a trained run on a whole split, each example once."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.dataset import SPLITS, Dataset, Split
from seqvision.errors import UserError, did_you_mean
from seqvision.inference.decision import MEASURES, check_measure
from seqvision.inference.decision_curve import decision_report
from seqvision.inference.output_file import checked_output, write_rows
from seqvision.inference.stream_network import classifier_steps
from seqvision.runs.evaluations import save_evaluation, save_temperature
from seqvision.runs.saved_run import Run, check_targets, load_run, load_seeds
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
    decide: str = "",
    calibrate: bool = False,
    bootstrap: int = 0,
    specificity: float = 0.9,
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
      decide: `probability` or `margin`: also prints accuracy against how much was seen, and the
        threshold calibrated on the validation split, see `inference.decision_curve`.
      calibrate: also fits a temperature on the validation split and keeps it with the run, see
        `metrics.calibration`.
      bootstrap: samples for confidence intervals, see `metrics.bootstrap`; 0 for none.
      specificity: at which the sensitivity of each class is given.

    Raises:
      UserError: no run, another network or data set than `config` says, no such split or seed; or
        an output of several seeds.
    """
    with processes.fail_together():
        _check_split(split_name)
        target, settings, workdir = checked_output(output), validate(config), Path(workdir)
        runs = load_seeds(workdir) if seed is None else [load_run(workdir, seed)]
        run = runs[0]
        _check_asked(runs, output, decide, calibrate, bootstrap, specificity)
        check_trained_with(run, settings)
        dataset = load_trained_on(run, settings)
    asked = (settings, split_name, output, seed, decide, calibrate, bootstrap, specificity)
    processes.check_same(
        {
            "config and flags; give each the same command": asked,
            "--workdir; it must be where all processes see it": [one.step for one in runs],
        }
    )
    of_seed, which = f", seed {run.seed}" * (seed is not None), _which(settings)
    say(f"{workdir}: step {run.step}{of_seed} on {dataset.title} {split_name}{which}")
    # The beam is no part of what was trained.
    trained = dataclasses.replace(run.settings, reading=settings.reading)
    task = create_task(trained, dataset.class_names, run.data.targets)
    split = dataset.split(split_name)
    for line in task.infeasible(split_name, split):
        say(line)
    size = settings.data.eval_batch_size
    evaluate = task.create_evaluation(run.model, create_mesh(), split.take, size)
    examples: list[Example] = []
    if len(runs) > 1:
        metrics = Replicas(run.settings.seeds).metrics([evaluate(r.params, split) for r in runs])
        report = seeds_report(metrics.row(), run.settings.seeds)
    else:
        wanted = target is not None or not task.reads_lines or task.needs_predictions()
        keep = functools.partial(_keep, examples) if wanted else None
        metrics = evaluate(run.params, split, keep)
        report = task.report(metrics, examples)
    for line in report:
        say(line)
    if examples and not task.reads_lines:
        wishes = Asked(specificity, bootstrap, run.seed, _with_progress)
        temperature = _fitted(run, task, evaluate, dataset) if calibrate else None
        for line in _all_metrics(run, task, dataset, split_name, examples, wishes, temperature):
            say(line)
    if target is not None:
        write_rows(_rows(task, split, examples), target, csv_guard)
        say(f"{len(examples)} predictions written to {target}")
    if decide:
        for line in decision_report(run, dataset, split_name, decide):
            say(line)
    return metrics


def _with_progress(numbers: Iterable[int]) -> Iterable[int]:
    return tqdm(numbers, unit="sample", disable=not on_terminal(), leave=False)


def _keep(examples: list[Example], prediction: Any, label: Any) -> None:
    examples.append((prediction, label))


def _all_metrics(
    run: Run,
    task: Task,
    dataset: Dataset,
    split_name: str,
    examples: list[Example],
    wishes: Asked,
    temperature: float | None,
) -> Iterator[str]:
    """Keeps all metrics of a split with the run; lines about them."""
    scores, groups = task.scores(examples), dataset.split(split_name).groups
    assert scores is not None
    found = evaluation_report(scores, groups, len(examples), wishes)
    if run.data.targets.kind == "steps":
        found["last_frame"] = last_frame(scores)
    if temperature is not None:
        found["calibration"] = calibration_facts(scores, temperature)
    printed = ("accuracy", "loss") if run.data.targets.kind == "class" else ()
    yield from report_lines(found, printed, bool(groups))
    yield save_evaluation(run, split_name, found)


def _fitted(run: Run, task: Task, evaluate: Evaluation, dataset: Dataset) -> float:
    """The temperature of the validation split, which is kept with the run."""
    examples: list[Example] = []
    evaluate(run.params, dataset.split("validation"), functools.partial(_keep, examples))
    scores = task.scores(examples)
    assert scores is not None
    temperature = scores.fit_temperature()
    save_temperature(run, {**calibration_facts(scores, temperature), "count": scores.count})
    return temperature


def _check_split(name: str) -> None:
    if name not in SPLITS:
        raise UserError(
            f"--split: '{name}' is not known; choose one of {', '.join(SPLITS)}"
            f"{did_you_mean(name, SPLITS)}"
        )


def _check_asked(
    runs: list[Run], output: str, decide: str, calibrate: bool, bootstrap: int, specificity: float
) -> None:
    """Refuses flags that runs of this kind, or of several seeds, cannot follow."""
    run = runs[0]
    if not 0 < specificity < 1:
        raise UserError(f"--specificity: {specificity:g} is none; choose one between 0 and 1")
    unread = {"calibrate": calibrate, "bootstrap": bootstrap, "specificity": specificity != 0.9}
    for flag, value in unread.items():
        is_number = run.data.targets.kind == "number" and flag != "bootstrap"
        if value and (run.task.reads_lines or is_number):
            what = "reads text" if run.task.reads_lines else "predicts numbers"
            raise UserError(
                f"--{flag}: it has no effect on {run.workdir}, which {what}; leave it out"
            )
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
            check_targets(runs[0], "a decision")
        except UserError as error:
            raise UserError(f"--decide: {error}") from None
    one_seed = {
        "output": (output, "predictions are written"),
        "decide": (decide, "it is shown"),
        "calibrate": (calibrate, "a temperature is fitted"),
        "bootstrap": (bootstrap, "intervals are computed"),
        "specificity": (specificity != 0.9, "sensitivity is computed"),
    }
    for flag, (asked, what) in one_seed.items():
        if asked and len(runs) > 1:
            raise UserError(
                f"--{flag}: {runs[0].workdir} holds seeds {runs[0].seed} to {runs[-1].seed};"
                f" {what} for one of them: choose it with --seed"
            )


def _rows(task: Task, split: Split, examples: list[Example]) -> list[dict[str, Any]]:
    """A row for each example: its name or number, its label, its prediction."""
    names = split.names or range(len(split))
    return [
        {"file": name, "truth": task.truth(label), **task.prediction_row(prediction)}
        for name, (prediction, label) in zip(names, examples, strict=True)
    ]


def _which(settings: Settings) -> str:
    """Which examples of those that can be made: a run may be evaluated on others than its own."""
    if settings.makes_shell_games:
        return f": {settings.clips.swaps} swaps of {settings.clips.cups} cups"
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
    calibrate: bool,
    bootstrap: int,
    specificity: float,
) -> int:
    """`--mode=evaluate`; returns the exit code."""
    evaluate_run(
        settings,
        workdir,
        split,
        output,
        seed,
        csv_guard,
        decide,
        calibrate,
        bootstrap,
        specificity,
    )
    return 0
