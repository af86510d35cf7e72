"""Parameter trees as named arrays."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def named_leaves(params: Any) -> list[tuple[str, Any]]:
    """Each array of a tree with its name, such as `lstm/cell/hf/bias`."""
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]


def on_host(params: Any) -> Any:
    """The tree with numpy arrays."""
    return jax.tree.map(np.asarray, jax.device_get(params))


def convolutions(cnn: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """`kernel` and `bias` of each block of a CNN, in their order."""
    return [cnn[f"block_{number}"]["conv"] for number in range(len(cnn))]
