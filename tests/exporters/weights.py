"""Classifiers of random weights, biases included, and their exports as weights."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision import export
from seqvision.data.preprocessing import to_unit_range
from seqvision.models.parameters import named_leaves
from seqvision.runs.files import write_json
from seqvision.runs.saved_run import Run
from tests.web.runs import classifier


def random_run(folder: Path, shape: tuple[int, ...] = (5, 6, 2), **fields: Any) -> Run:
    """A run in a folder with the files that an export reads; no weight of it is 0."""
    rng, run = np.random.default_rng(3), classifier(shape, {}, **fields)
    inputs = jax.ShapeDtypeStruct((1, *shape), np.float32)
    shapes = jax.eval_shape(run.model.init, jax.random.key(0), inputs)["params"]
    params = jax.tree.map(
        lambda leaf: rng.normal(scale=0.5, size=leaf.shape).astype(np.float32), shapes
    )
    folder.mkdir(exist_ok=True)
    write_json(folder / "environment.json", {"seqvision": "0.1.9"})
    write_json(folder / "status.json", {"metrics": {"test": {"accuracy": 0.75}}})
    write_json(folder / "config.json", {})
    return dataclasses.replace(run, workdir=folder, params=params)


def exported(run: Run, form: str, patch: pytest.MonkeyPatch) -> Path:
    """The folder of its export."""
    with patch.context() as patched:
        patched.setattr(export, "load_run", lambda *_: run)
        output = run.workdir.parent / f"{run.workdir.name}-{form}"
        return export.export_weights(run.workdir, str(output), form)


def parameters(run: Run) -> dict[str, np.ndarray]:
    """Ours by name."""
    return dict(named_leaves(run.params))


def probabilities(run: Run, inputs: np.ndarray) -> np.ndarray:
    """What the network says of images of bytes."""
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(run.model.apply)
        logits: Any = apply({"params": run.params}, to_unit_range(jnp.asarray(inputs)))
    return np.asarray(jax.nn.softmax(logits, axis=-1))


def code(folder: Path) -> str:
    """The Python of the card."""
    return (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
