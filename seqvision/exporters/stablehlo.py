"""Networks as StableHLO, which JAX and other programs of its family load (`jax.export`)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from seqvision.data.preprocessing import to_unit_range
from seqvision.models.line_reader import LineReader
from seqvision.onnx.network import Network, any_length

PLATFORMS = ("cpu", "cuda", "tpu")


def stablehlo(model: Network, params: Any, input_shape: tuple[int, ...]) -> bytes:
    """The network with its weights, for a batch of any size.

    Loaded by `jax.export.deserialize(...).call(inputs)`, of clips and lines `.call(inputs,
    lengths)`: inputs uint8 (batch, *input_shape), lengths int32 (batch,), to logits. Frames or
    columns may be any number if `onnx.network.any_length`.

    Args:
      model: the network.
      params: its weights.
      input_shape: of one input.
    """
    # Hand-written paths are for one platform each, and where parameters start is no matter here.
    options = dataclasses.replace(model.recurrent.options, gate_init="constant")
    recurrent = model.recurrent.clone(execution="scan", options=options, parent=None)
    model, params = model.clone(recurrent=recurrent), jax.tree.map(jnp.asarray, params)
    is_reader = isinstance(model, LineReader)
    dimensions = [str(size) for size in input_shape]
    has_lengths = is_reader or len(input_shape) == 4
    if has_lengths and any_length(model):
        dimensions[1 if is_reader else 0] = "steps"
    shape = export.symbolic_shape(", ".join(["batch", *dimensions]))
    arguments = [jax.ShapeDtypeStruct(shape, jnp.uint8)]
    if has_lengths:
        arguments.append(jax.ShapeDtypeStruct(shape[:1], jnp.int32))

    def logits(inputs: Any, *lengths: Any) -> Any:
        return model.apply({"params": params}, to_unit_range(inputs), *lengths)

    return bytes(export.export(jax.jit(logits), platforms=PLATFORMS)(*arguments).serialize())
