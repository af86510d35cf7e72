"""Parameter trees as named arrays."""

from typing import Any

import jax


def named_leaves(params: Any) -> list[tuple[str, Any]]:
    """Each array of a tree with its name, such as `lstm/cell/hf/bias`."""
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]
