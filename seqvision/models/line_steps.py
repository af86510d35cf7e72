"""Lines a few columns at a time, in JAX: what compiled programs of live reading run."""

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from seqvision.models.column_cnn import COLUMNS_BEFORE
from seqvision.models.line_reader import LineReader
from seqvision.models.parameters import convolutions

_GROUP_SIZE = 4
"""Lines that a CPU reads at once: of 2 to 32, the fastest."""

Memory = tuple[Float[Array, "S _ _ 2"], ...]
"""For each block of the CNN, (S, channels, height, 2): the last columns of what it reads."""
LineCarry = tuple[Memory, Any]
"""Memory of the columns, and of the recurrent layers."""


def start_lines(
    model: LineReader, params: Mapping[str, Any], num_lines: int, height: int
) -> tuple[Any, Any]:
    """The carry before the first column, as numpy arrays: that of empty columns."""
    blocks, dtype = _blocks(params), model.columns.dtype
    channels, rows = 1, height
    memory: Any = []
    for block in blocks:
        memory.append(
            np.zeros((1, channels, rows, COLUMNS_BEFORE), np.float32 if not memory else dtype)
        )
        channels, rows = block["bias"].shape[0], -(-rows // 2)
    if blocks:  # The maps of a block are right two columns after those that it reads.
        empty = np.zeros((1, height, COLUMNS_BEFORE * len(blocks), 1), np.float32)
        _, memory = jax.jit(_columns_to_steps, static_argnums=1)(blocks, dtype, empty, None, memory)
    steps = jax.ShapeDtypeStruct((num_lines, 1, rows * channels), jnp.float32)
    read = jax.eval_shape(model.recurrent.apply, {"params": params["recurrent"]}, steps)
    layers = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), read[1])
    memory = jax.device_get(memory)
    return tuple(np.repeat(leaf, num_lines, axis=0) for leaf in memory), layers


def read_lines(
    model: LineReader,
    params: Mapping[str, Any],
    columns: Float[Array, "S height n 1"],
    lengths: Array | None,
    carry: LineCarry,
) -> tuple[Float[Array, "S n K"], LineCarry]:
    """The next columns of lines, as `LineReader` reads them.

    Each block of the CNN keeps its own last columns, so that nothing is computed twice.

    Args:
      model: a network of one direction.
      params: its weights.
      columns: (S, height, n, 1) in [0, 1].
      lengths: (S,), how many of the columns each line has; n by default.
      carry: after the columns before.

    Returns:
      Logits (S, n, K), and the carry after each line's last column.
    """
    memory, layers = carry
    if memory:
        blocks, dtype = _blocks(params), model.columns.dtype
        steps, memory = _columns_to_steps(blocks, dtype, columns, lengths, memory)
    else:
        steps = model.columns.apply({}, columns)
    recurrent = model.recurrent
    if steps.shape[1] == 1 and jax.default_backend() == "cpu":
        recurrent = recurrent.clone(execution="scan")  # For one step, others turn all arrays.
    outputs, layers = recurrent.apply({"params": params["recurrent"]}, steps, lengths, layers)
    dense = nn.Dense(model.num_classes, dtype=model.dtype)
    logits: Any = dense.apply({"params": params["classifier"]}, outputs)
    return logits.astype(jnp.float32), (memory, layers)


def _blocks(params: Mapping[str, Any]) -> list[Any]:
    return convolutions(params.get("columns", {}).get("cnn", {}))


def _columns_to_steps(
    blocks: list[Any], dtype: Any, columns: Array, lengths: Array | None, memory: Any
) -> tuple[Array, Memory]:
    """`models.column_cnn.ColumnCNN` of the next columns: steps (S, n, D) and the memory after."""
    size = math.gcd(len(columns), _GROUP_SIZE) if jax.default_backend() == "cpu" else len(columns)

    def grouped(leaf: Array) -> Array:
        return leaf.reshape(-1, size, *leaf.shape[1:])

    def of_group(group: Any) -> Any:
        columns, lengths, memory = group
        maps, after = columns.transpose(3, 1, 2, 0), []
        for block, before in zip(blocks, memory, strict=True):
            both = jnp.concatenate([before.transpose(1, 2, 3, 0).astype(maps.dtype), maps], axis=2)
            after.append(_last_columns(both, lengths))
            images, kernel, bias = nn.dtypes.promote_dtype(
                both, block["kernel"], block["bias"], dtype=dtype
            )
            maps = _block(images, kernel, bias)
        return maps.transpose(3, 2, 0, 1).reshape(size, maps.shape[2], -1), tuple(after)

    groups = jax.tree.map(grouped, (columns, lengths, memory))
    return jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.lax.map(of_group, groups)
    )


def _block(
    columns: Float[Array, "C height _ G"], kernel: Array, bias: Array
) -> Float[Array, "channels _ n G"]:
    """`models.column_cnn.ColumnBlock` of G lines, which come last: a shift copies whole rows."""
    channels, height, width, count = columns.shape
    padded = jnp.pad(columns, ((0, 0), (1, 1 + height % 2), (0, 0), (0, 0)))
    height, width = height + height % 2, width - COLUMNS_BEFORE
    neighbours = [
        padded[:, down : down + height, right : right + width]
        for down in range(3)
        for right in range(3)
    ]
    products = kernel.reshape(9 * channels, -1).T @ jnp.concatenate(neighbours).reshape(
        9 * channels, -1
    )
    rows = products.reshape(-1, height // 2, 2, width * count)
    maps = jnp.maximum(rows[:, :, 0], rows[:, :, 1])
    maps = nn.relu(maps + jnp.broadcast_to(bias[:, None, None], maps.shape))
    return maps.reshape(-1, height // 2, width, count)


def _last_columns(columns: Float[Array, "C height _ G"], lengths: Array | None) -> Array:
    """(G, C, height, 2): of (C, height, 2 + n, G), those before column 2 + length of each line."""
    if lengths is None:
        return columns[:, :, -COLUMNS_BEFORE:].transpose(3, 0, 1, 2)

    def of_line(line: Array, length: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(line, length, COLUMNS_BEFORE, axis=2)

    return jax.vmap(of_line, in_axes=(3, 0))(columns, lengths)
