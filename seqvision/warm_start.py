"""Weights of one run as the start of another: `config.init_from`."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from seqvision.errors import UserError
from seqvision.progress import say
from seqvision.record import named_leaves
from seqvision.run import load_run


def warm_start(params: Any, workdir: Path) -> tuple[Any, list[str]]:
    """Takes over from a trained run each array whose name and shape match.

    Args:
      params: the new network's weights.
      workdir: the other run's folder.

    Returns:
      The weights, and lines that say which matched.

    Raises:
      UserError: there is no trained run, or nothing in it matches.
    """
    try:
        run = load_run(workdir, say)
    except UserError as error:
        raise UserError(f"config.init_from: {error}") from error
    source, own = dict(named_leaves(run.params)), named_leaves(params)
    matching = {
        name: source[name] for name, array in own if _shape(source.get(name)) == array.shape
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
    for name, array in own:
        if name not in matching:
            found = f"{_shape(source[name])} there" if name in source else "not there"
            lines.append(f"  kept as initialised: {name} ({found}, {array.shape} here)")
    lines += [f"  not used: {name}" for name in sorted(source.keys() - dict(own).keys())]
    leaves = [jnp.asarray(matching.get(name, array), array.dtype) for name, array in own]
    return jax.tree.unflatten(jax.tree.structure(params), leaves), lines


def _shape(array: Any) -> tuple[int, ...] | None:
    return None if array is None else array.shape
