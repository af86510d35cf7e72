"""The lines that a run prints before its first step."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from seqvision.config.data_schema import MADE_SOURCES
from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.data.alphabet import Alphabet
from seqvision.data.dataset import Dataset
from seqvision.models.parameters import named_leaves
from seqvision.profiling.throughput import flops_text
from seqvision.runtime.console import aligned
from seqvision.runtime.cpu_devices import most_devices, num_sharing
from seqvision.training.from_config import TrainingSetup


def header(
    settings: Settings,
    dataset: Dataset,
    setup: TrainingSetup,
    environment: dict[str, Any],
    workdir: Path,
    start: int,
) -> Iterator[str]:
    """Versions, devices, data, durations and parameters of a run, line by line.

    Args:
      settings: of the run.
      dataset: what it trains on.
      setup: the training.
      environment: the content of `environment.json`, see `environment.write_description`.
      workdir: the run's folder.
      start: completed steps.
    """
    versions = " | ".join(f"{name} {v}" for name, v in environment["packages"].items())
    yield f"seqvision {environment['seqvision']} | python {environment['python']} | {versions}"
    devices = environment["devices"]
    facts = {
        "devices": f"{len(devices)}: {', '.join(devices)}",
        "git": environment["git"] or "not a git checkout",
    }
    facts |= _training_facts(settings, dataset, setup.steps, environment, workdir)
    if start > 0:
        facts |= _changes(environment)
    for name, text in facts.items():
        yield f"{name:<10}{text}"
    yield from parameter_table(jax.eval_shape(setup.init, 0).params)


def _training_facts(
    settings: Settings,
    dataset: Dataset,
    steps: Steps,
    environment: dict[str, Any],
    workdir: Path,
) -> dict[str, str]:
    sizes = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    epoch = len(dataset.split("train")) / settings.data.batch_size
    validation = _interval(steps.evaluate_every) if "validation" in dataset.splits else "none"
    is_auto = settings.model.execution == "auto"
    facts = {
        "data": (
            f"{dataset.title}: {sizes};"
            f" {'x'.join(map(str, dataset.read_shape))}, {_outputs(settings, dataset)};"
            f" {residence(dataset)}"
        ),
        "": ", ".join(f"{k} sha256 {v[:16]}" for k, v in dataset.fingerprints.items()),
        "batch": batch_per_device(settings.data.batch_size, environment, settings.num_seeds),
        "execution": environment["execution"] + " (auto)" * is_auto,
        "training": f"{steps.total} steps = {steps.total / epoch:.4g} epochs of {epoch:.4g} steps",
        "saving": f"{_interval(steps.checkpoint_every)}; validation {validation}",
        "workdir": str(workdir),
    }
    if text := str(dataset.tones):
        facts["values"] = text
    if settings.model.backbone != "none":
        facts["backbone"] = _backbone(settings, dataset)
    if settings.reads_text:
        facts["alphabet"] = Alphabet(dataset.class_names).described()
    if settings.num_seeds > 1:
        first, last = settings.seeds[0], settings.seeds[-1]
        made = settings.data.source in MADE_SOURCES
        facts["seeds"] = f"{first} to {last} at once" + f"; data made of {first} for all" * made
    if environment["peak_flops"] is not None:
        peak = flops_text(environment["peak_flops"])
        facts["peak"] = f"{peak}/s in {settings.model.compute_dtype} products, measured now"
    return facts


def _outputs(settings: Settings, dataset: Dataset) -> str:
    if settings.reads_text:
        return f"{dataset.num_classes} classes"
    return dataset.targets.described(dataset.class_names)


def _backbone(settings: Settings, dataset: Dataset) -> str:
    model = settings.model
    if model.computes_features_once:
        return f"{model.backbone}, frozen: {dataset.input_shape[-1]} features of each frame"
    rate = settings.optimizer.backbone_scale * settings.optimizer.learning_rate
    return f"{model.backbone}, {model.backbone_trainable} trained at {rate:g}"


def residence(dataset: Dataset) -> str:
    """Where the examples are, and how large they are (or would be) as arrays in memory."""
    num_bytes = sum(split.num_bytes for split in dataset.splits.values())
    where = "streamed, of" if dataset.is_streamed else "in memory,"
    unit, name = (2**30, "GiB") if num_bytes >= 2**30 else (2**20, "MiB")
    return f"{where} {num_bytes / unit:,.1f} {name}"


def batch_per_device(batch_size: int, environment: dict[str, Any], num_seeds: int = 1) -> str:
    """How a batch is split over the devices, with advice where some devices are not used.

    Args:
      batch_size: examples of a batch, of each seed.
      environment: `devices`, `devices_used` and `processes` of `environment.json`.
      num_seeds: seeds trained at once; the devices split these first, see `mesh.seeds_mesh`.
    """
    used, present = environment["devices_used"], len(environment["devices"])
    rows = math.gcd(used, num_seeds)
    text = f"{batch_size} = {used // rows} device(s) x {batch_size // (used // rows)}"
    if environment["processes"] > 1:
        return f"{text}, in {environment['processes']} processes"
    if num_seeds > 1:
        text += f", each of {num_seeds} seeds; {num_seeds // rows} of them on a device"
    units = batch_size * num_seeds
    if jax.default_backend() == "cpu" and present == num_sharing(most_devices(), units):
        present = most_devices()  # `prepare_host` chose the number to divide the batch.
    if used == present:
        return text
    return f"{text} (not all {present}: choose a batch that is a multiple of {present})"


def _changes(environment: dict[str, Any]) -> dict[str, str]:
    """A line for a run that resumes on other devices or with another execution path."""
    before = environment["earlier"][-1] if environment["earlier"] else environment
    words = []
    changing = (
        ("devices_used", "{} device(s)"),
        ("processes", "{} process(es)"),
        ("execution", "execution {}"),
    )
    for name, word in changing:
        now, then = environment[name], before.get(name, environment[name])
        if now != then:
            words.append(f"{word.format(now)} where it had {then}")
    if not words:
        return {}
    return {"resumed": f"with {' and '.join(words)}: equal but for rounding, not bit by bit"}


def _interval(every: int) -> str:
    return f"every {every} steps" if every else "at the end"


def parameter_table(params: Any) -> Iterator[str]:
    """Name, shape and size of each array, and the total number of parameters."""
    rows: list[tuple[str, str, str]] = []
    total = 0
    for name, array in named_leaves(params):
        rows.append((name, " x ".join(map(str, array.shape)), f"{array.size:,}"))
        total += array.size
    rows.append(("total", "", f"{total:,}"))
    yield from aligned([("parameter", "shape", "size"), *rows])
