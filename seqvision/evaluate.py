"""A whole split, each example once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from seqvision.config import validate
from seqvision.data.batches import padded_batches
from seqvision.data.dataset import SPLITS, Split
from seqvision.data.source import load_dataset
from seqvision.errors import UserError, did_you_mean
from seqvision.metrics import Metrics, Sums
from seqvision.progress import on_terminal, say
from seqvision.record import ENVIRONMENT
from seqvision.run import differences, load_run
from seqvision.state import create_mesh
from seqvision.steps import batch_sharding, make_eval_step


def evaluate_split(
    eval_step: Callable[..., Sums], params: Any, split: Split, batch_size: int, mesh: Mesh
) -> Metrics:
    """Means over a split, each example counted once whatever the batch size.

    Args:
      eval_step: from `steps.make_eval_step`.
      params: the weights.
      split: what to evaluate.
      batch_size: examples per step; rounded up to a multiple of the devices.
      mesh: the devices.
    """
    rounded = -(-batch_size // mesh.size) * mesh.size
    sums = []
    for batch in padded_batches(split, min(rounded, -(-len(split) // mesh.size) * mesh.size)):
        placed = jax.device_put(batch, batch_sharding(mesh))
        sums.append(eval_step(params, placed["inputs"], placed["labels"], placed["mask"]))
    return Metrics.of(*jax.device_get(sums))


def evaluate_run(config: ConfigDict, workdir: Path, split_name: str) -> Metrics:
    """Evaluates a trained run on one split and prints accuracy, loss, count, per-class accuracy.

    Data directory and batch size come from `config`, the network and its weights from `workdir`.

    Raises:
      UserError: no run, another network or data set than `config` says, no such split.
    """
    if split_name not in SPLITS:
        raise UserError(
            f"--split: '{split_name}' is not known; choose one of {', '.join(SPLITS)}"
            f"{did_you_mean(split_name, SPLITS)}"
        )
    settings = validate(config)
    run = load_run(workdir, say)
    differing = [
        f"{key} {text}"
        for key, text in differences(run.settings, settings).items()
        if key.startswith("model.") or key in ("data.name", "data.validation_examples")
    ]
    if differing:
        raise UserError(
            f"{workdir}: trained with another config: {'; '.join(differing)}; name its config with"
            " --config, or another run with --workdir"
        )
    dataset = load_dataset(
        settings.data.name, settings.data.dir, settings.data.cache_dir, say, on_terminal()
    )
    if dataset.fingerprints != run.data.fingerprints:
        raise UserError(
            f"{workdir}: trained on other data: the fingerprint of {dataset.name} is not the one in"
            f" {ENVIRONMENT}; name the data it was trained on with --config.data.dir"
        )
    split = dataset.split(split_name, settings.data.validation_examples)
    mesh = create_mesh()
    metrics = evaluate_split(
        make_eval_step(run.model, mesh), run.params, split, settings.data.eval_batch_size, mesh
    )
    say(f"{workdir}: step {run.step} on {dataset.name}/{dataset.version} {split_name}")
    for line in report(metrics, dataset.class_names):
        say(line)
    return metrics


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
