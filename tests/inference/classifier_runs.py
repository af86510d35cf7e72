"""Runs of classifiers of random weights, examples for them, and their steps."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import default
from seqvision.config.validation import validate
from seqvision.inference.stream_classifier import Belief
from seqvision.models import create_model
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.classification import Classification

CLASSES = tuple("abcde")
SHAPES = {"rows": (7, 5, 1), "columns": (5, 6, 2), "pixels": (3, 4, 2), "frames": (6, 5, 7, 3)}


def run_of(sequence: str = "rows", window: int = 0, **fields: Any) -> Run:
    """A run of random weights, large enough that beliefs differ from step to step."""
    config, shape = default.get_config(), SHAPES.get(sequence, (7, 5, 1))
    config.model.sequence = sequence
    config.data.window = window
    if window:
        config.data.source, config.data.path, config.data.kind = "npz", "clips.npz", "clips"
    options = {"hidden_size": 6, "cnn_channels": (3, 4)} | fields
    model = create_model(num_classes=len(CLASSES), sequence=sequence, **options)
    rng = np.random.default_rng(5)
    inputs = jnp.zeros((1, *shape), jnp.float32)
    shapes: Any = jax.eval_shape(model.init, jax.random.key(0), inputs)
    params = jax.tree.map(
        lambda leaf: rng.normal(0, 0.7, leaf.shape).astype(np.float32), shapes["params"]
    )
    facts = DataFacts("made", "1.0.0", shape, CLASSES, "dark", {})
    per_step = options.get("readout") == "per_step"
    task = Classification(CLASSES, per_step=per_step)
    return Run(Path("run"), validate(config), facts, task, model, params, step=1, seed=0)


def steps_of(run: Run, example: np.ndarray) -> np.ndarray:
    """An image or clip, its steps along its first axis."""
    sequence = run.settings.model.sequence
    if sequence == "pixels":
        return example.reshape(-1, example.shape[-1])
    return example.swapaxes(0, 1) if sequence == "columns" else example


def pushed(run: Run, steps: np.ndarray) -> np.ndarray:
    """Steps as they are pushed."""
    return steps.swapaxes(0, 1) if run.settings.model.sequence == "columns" else steps


def probabilities(beliefs: list[Belief]) -> np.ndarray:
    return np.array([belief.probabilities for belief in beliefs])


def examples(rng: np.random.Generator, run: Run, count: int) -> np.ndarray:
    """Noise; frames differ in brightness, or to the network they would be much the same."""
    inputs = rng.integers(0, 256, (count, *run.data.input_shape), np.uint8)
    if run.data.of_clips:
        inputs = (inputs * rng.random((*inputs.shape[:2], 1, 1, 1))).astype(np.uint8)
    return inputs
