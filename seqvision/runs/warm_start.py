"""Warm start: weights of another run as initial weights, `config.init_from`."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from seqvision.errors import UserError
from seqvision.models.parameters import named_leaves
from seqvision.runs.saved_run import load_run
from seqvision.training.replicas import Replicas


def warm_start(params: Any, workdir: Path, replicas: Replicas) -> tuple[Any, list[str]]:
    """Takes over from a trained run each array whose name and shape match.

    Where that run has several seeds, the weights of the first are used.

    Args:
      params: the new network's weights (*axes, ...): all seeds get the same.
      workdir: the other run's folder.
      replicas: the seeds of the new run.

    Returns:
      The weights, and lines of text that list what was copied.

    Raises:
      UserError: there is no trained run, or nothing in it matches.
    """
    try:
        run = load_run(workdir)
    except UserError as error:
        raise UserError(f"config.init_from: {error}") from error
    source, own = dict(named_leaves(run.params)), named_leaves(params)
    shapes = {name: array.shape[len(replicas.axes) :] for name, array in own}
    matching = {
        name: source[name] for name, shape in shapes.items() if _shape(source.get(name)) == shape
    }
    if not matching:
        raise UserError(
            f"config.init_from: no array of {workdir} matches this network in name and shape; name"
            " a run of the same architecture, or start without it"
        )
    lines = [
        f"starting from {workdir}, step {run.step}",
        f"  taken over: {len(matching)} of {len(own)} arrays",
    ]
    for name, _ in own:
        if name not in matching:
            found = f"{_shape(source[name])} there" if name in source else "not there"
            lines.append(f"  kept as initialised: {name} ({found}, {shapes[name]} here)")
    lines += [f"  not used: {name}" for name in sorted(source.keys() - dict(own).keys())]
    leaves = [
        jnp.broadcast_to(jnp.asarray(matching.get(name, array), array.dtype), array.shape)
        for name, array in own
    ]
    return jax.tree.unflatten(jax.tree.structure(params), leaves), lines


def _shape(array: Any) -> tuple[int, ...] | None:
    return None if array is None else array.shape
