"""Trained runs without a folder: a reader of digits, and classifiers of random weights."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from ml_collections import ConfigDict

from configs import column_reader, default
from seqvision.config.validation import validate
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.from_config import create_network, create_task

DIGITS = tuple("0123456789")


def run_of(config: ConfigDict, shape: tuple[int, ...], names: tuple[str, ...], params: Any) -> Run:
    """A run of the weights `params`, or of random ones where they are None."""
    settings = validate(config)
    data = DataFacts("made", "1", shape, names, "dark", {})
    task = create_task(settings, names)
    model = create_network(settings, task)
    if params is None:
        inputs = jnp.zeros((1, *shape), jnp.float32)
        params = jax.jit(model.init)(jax.random.key(0), inputs)["params"]
    return Run(Path("runs/made"), settings, data, task, model, params, 12, 0)


def digit_reader() -> Run:
    """`configs/column_reader.py:quick`, seed 0, whose weights were rounded to 16 bits."""
    with np.load(Path(__file__).parent / "reader.npz") as file:
        flat = {name: file[name].astype(np.float32) for name in file.files}
    params = unflatten_dict(flat, sep="/")
    return run_of(column_reader.get_config("quick"), (32, 320, 1), (*DIGITS, " "), params)


def classifier(shape: tuple[int, ...] = (28, 28, 1), params: Any = None, **fields: Any) -> Run:
    """A classifier of ten digits, of these weights or of random ones."""
    config = default.get_config()
    config.model.hidden_size, config.model.recurrent_init = 8, "identity"
    config.model.update(fields)
    return run_of(config, shape, DIGITS, params)
