"""What a training run is: written into its workdir, and printed before its first step."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from seqvision.config.schema import MADE_SOURCES, Model, Settings
from seqvision.config.step_counts import Steps
from seqvision.config.validation import flatten, nest
from seqvision.data.dataset import ArraySplit, Dataset, StreamedSplit
from seqvision.data.files.images import background_of
from seqvision.models.execution.choose import choose_execution
from seqvision.models.parameters import named_leaves
from seqvision.profiling.throughput import flops_text
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.environment import environment
from seqvision.runs.files import CONFIG, ENVIRONMENT, write_json, write_status
from seqvision.runtime.console import aligned
from seqvision.runtime.cpu_devices import most_devices, num_sharing


def write_description(
    settings: Settings,
    dataset: Dataset,
    mesh: Mesh,
    workdir: Path,
    start: int,
    peak_flops: float | None,
) -> dict[str, Any]:
    """Writes config, environment and status; returns the environment."""
    facts = DataFacts(
        name=dataset.name,
        version=dataset.version,
        input_shape=dataset.input_shape,
        class_names=dataset.class_names,
        background=_background(settings, dataset),
        fingerprints=dict(dataset.fingerprints),
    )
    content = environment(workdir, mesh.size) | {
        "data": dataclasses.asdict(facts),
        "execution": _execution(settings.model),
        "peak_flops": peak_flops,
    }
    write_json(workdir / CONFIG, nest(flatten(settings)))
    write_json(workdir / ENVIRONMENT, content)
    write_status(workdir, "running", start)
    return content


def description(
    settings: Settings,
    dataset: Dataset,
    steps: Steps,
    environment: dict[str, Any],
    params: Any,
    workdir: Path,
    start: int,
) -> Iterator[str]:
    """The lines before the first step: versions, devices, data, durations, parameters."""
    sizes = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    epoch = len(dataset.split("train")) / settings.data.batch_size
    validation = _often(steps.evaluate_every) if "validation" in dataset.splits else "none"
    facts = {
        "data": (
            f"{dataset.title}: {sizes};"
            f" {'x'.join(map(str, dataset.input_shape))}, {dataset.num_classes} classes;"
            f" {residence(dataset)}"
        ),
        "": ", ".join(f"{k} sha256 {v[:16]}" for k, v in dataset.fingerprints.items()),
        "batch": shares(settings.data.batch_size, environment, settings.num_seeds),
        "execution": _execution(settings.model) + " (auto)" * (settings.model.execution == "auto"),
        "training": f"{steps.total} steps = {steps.total / epoch:.4g} epochs of {epoch:.4g} steps",
        "saving": f"{_often(steps.checkpoint_every)}; validation {validation}",
        "workdir": str(workdir),
    }
    if settings.num_seeds > 1:
        first, last = settings.seeds[0], settings.seeds[-1]
        made = settings.data.source in MADE_SOURCES
        facts["seeds"] = f"{first} to {last} at once" + f"; data made of {first} for all" * made
    if environment["peak_flops"] is not None:
        peak = flops_text(environment["peak_flops"])
        facts["peak"] = f"{peak}/s in {settings.model.compute_dtype} products, measured now"
    if start > 0:
        facts |= _changes(environment)
    yield from header(environment, facts)
    yield from parameter_table(params)


def residence(dataset: Dataset) -> str:
    """Where the examples are, and how large they are (or would be) as arrays in memory."""
    num_bytes = 0
    for split in dataset.splits.values():
        if isinstance(split, StreamedSplit):
            num_bytes += split.num_bytes
        else:
            num_bytes += sum(np.asarray(array).nbytes for array in jax.tree.leaves(split.arrays))
    where = "streamed, of" if dataset.is_streamed else "in memory,"
    unit, name = (2**30, "GiB") if num_bytes >= 2**30 else (2**20, "MiB")
    return f"{where} {num_bytes / unit:,.1f} {name}"


def shares(batch_size: int, environment: dict[str, Any], num_seeds: int = 1) -> str:
    """How the devices share a batch (or the seeds), and what would let all of them do so."""
    used, present = environment["devices_used"], len(environment["devices"])
    rows = math.gcd(used, num_seeds)  # See `state.seeds_mesh`.
    text = f"{batch_size} = {used // rows} device(s) x {batch_size // (used // rows)}"
    if environment["processes"] > 1:
        return f"{text}, in {environment['processes']} processes"
    if num_seeds > 1:
        text += f", each of {num_seeds} seeds; {num_seeds // rows} of them on a device"
    units = batch_size * num_seeds
    if jax.default_backend() == "cpu" and present == num_sharing(most_devices(), units):
        present = most_devices()  # The batch decided how many there are.
    if used == present:
        return text
    return f"{text} (not all {present}: choose a batch that is a multiple of {present})"


def _execution(model: Model) -> str:
    """How the recurrent layers are run."""
    return choose_execution(
        model.execution, model.cell, model.hidden_size, model.compute_dtype, model.refine_gates
    )


def _changes(environment: dict[str, Any]) -> dict[str, str]:
    """A word on a run that was begun on another number of devices, or in another way."""
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


def _background(settings: Settings, dataset: Dataset) -> str:
    """How the images' borders look, which decides what prediction does with paper and ink.

    The user's own images are predicted as they are trained on: as they are.
    """
    train = dataset.split("train")
    if settings.data.source != "tfds":
        return "mixed"
    if isinstance(train, StreamedSplit):
        return background_of(train.read(np.arange(min(1000, len(train)), dtype=np.int32))["inputs"])
    if isinstance(train, ArraySplit):
        return background_of(train.inputs)
    return "mixed"


def _often(every: int) -> str:
    return f"every {every} steps" if every else "at the end"


def header(environment: Mapping[str, Any], facts: Mapping[str, str]) -> Iterator[str]:
    """The first lines of a run: what runs, where, on what, for how long."""
    versions = " | ".join(f"{name} {v}" for name, v in environment["packages"].items())
    yield f"seqvision {environment['seqvision']} | python {environment['python']} | {versions}"
    devices = environment["devices"]
    yield _fact("devices", f"{len(devices)}: {', '.join(devices)}")
    yield _fact("git", environment["git"] or "not a git checkout")
    for name, text in facts.items():
        yield _fact(name, text)


def _fact(name: str, text: str) -> str:
    return f"{name:<10}{text}"


def parameter_table(params: Any) -> Iterator[str]:
    """Name, shape and size of each array, and the total."""
    rows: list[tuple[str, str, str]] = []
    total = 0
    for name, array in named_leaves(params):
        rows.append((name, " x ".join(map(str, array.shape)), f"{array.size:,}"))
        total += array.size
    rows.append(("total", "", f"{total:,}"))
    yield from aligned([("parameter", "shape", "size"), *rows])
