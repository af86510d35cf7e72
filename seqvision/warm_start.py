"""Weights of one run as the start of another: `config.init_from`."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from seqvision.errors import UserError
from seqvision.progress import say
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
    run = load_run(workdir, say)
    source = {_name(path): array for path, array in _leaves(run.params)}
    lines = [f"starting from {workdir}, step {run.step}"]
    matched = 0

    def choose(path: Any, array: Any) -> Any:
        nonlocal matched
        name = _name(path)
        other = source.get(name)
        if other is not None and other.shape == array.shape:
            matched += 1
            return jnp.asarray(other, array.dtype)
        found = "not there" if other is None else f"{other.shape} there, {array.shape} here"
        lines.append(f"  kept as initialised: {name} ({found})")
        return array

    params = jax.tree_util.tree_map_with_path(choose, params)
    unused = sorted(source.keys() - {_name(path) for path, _ in _leaves(params)})
    lines += [f"  not used: {name}" for name in unused]
    lines.insert(1, f"  taken over: {matched} of {len(_leaves(params))} arrays")
    if matched == 0:
        raise UserError(
            f"config.init_from: no array of {workdir} matches this network in name and shape; name"
            " a run of the same architecture, or start without it"
        )
    return params, lines


def _leaves(params: Any) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(params)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
