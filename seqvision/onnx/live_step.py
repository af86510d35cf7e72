"""The step of live reading as ONNX: each block of the CNN keeps its own last columns."""

import numpy as np

from seqvision.models.column_cnn import COLUMNS_BEFORE
from seqvision.models.line_reader import LineReader
from seqvision.models.parameters import convolutions
from seqvision.onnx.graph import Graph, Value
from seqvision.onnx.layers import Carry, carry_names, has_operator, layers
from seqvision.onnx.network import Params, in_unit_range
from seqvision.onnx.sequences import column_block, columns, maps_to_steps


def can_step(model: LineReader) -> bool:
    """Whether `live_step` can read as the network does: in float32, a cell that ONNX has."""
    in_float32 = model.dtype is None or np.dtype(model.dtype) == np.float32
    return in_float32 and has_operator(model.recurrent)


def live_step(model: LineReader, params: Params, height: int, with_lengths: bool) -> Graph:
    """`models.line_steps.read_lines` up to the logits.

    Nothing is computed twice, unlike in `step.network_step`, whose memory is plainer.

    Inputs: `inputs` uint8 (S, height, n, 1), the next columns; with lengths `lengths` int32 (S,),
    how many of them each line has; then the leaves of the carry of `read_lines`. Outputs: `outputs`
    float32 (S, n, H) of the last layer, of which `HostReader.logits` makes logits; and the leaves
    of the carry after each line's last column.

    Args:
      model: a network that `can_step`.
      params: its weights, as numpy arrays.
      height: rows of a column.
      with_lengths: False for a faster step, in which all lines have all columns.
    """
    graph = Graph("live_step")
    inputs = graph.input("inputs", "uint8", ("lines", height, "columns", 1))
    lengths = graph.input("lengths", "int32", ("lines",)) if with_lengths else None
    blocks = convolutions(params.get("columns", {}).get("cnn", {}))
    values = in_unit_range(graph, inputs)
    memory: list[tuple[str, tuple[str | int, ...], Value]] = []
    if blocks:
        maps = graph.reshape(values, 0, 1, height, -1)
        for number, block in enumerate(blocks):
            shape = ("lines", block["kernel"].shape[2], height, COLUMNS_BEFORE)
            before = graph.input(f"columns_{number}", "float32", shape)
            both = graph.concat(before, maps, axis=3)
            memory.append((f"new_columns_{number}", shape, _last(graph, both, lengths)))
            maps, height = column_block(graph, block, both, height)
        steps = maps_to_steps(graph, maps, block["bias"].shape[0] * height)
    else:
        steps = columns(graph, model.columns, {}, values)
    names, size = carry_names(model.recurrent), ("lines", model.recurrent.hidden_size)
    carry: Carry = [[graph.input(name, "float32", size) for name in parts] for parts in names]
    outputs, after = layers(graph, model.recurrent, params["recurrent"], steps, lengths, carry)
    graph.output("outputs", "float32", ("lines", "columns", model.recurrent.hidden_size), outputs)
    for name, axes, value in memory:
        graph.output(name, "float32", axes, value)
    for parts, values_after in zip(names, after, strict=True):
        for name, value in zip(parts, values_after, strict=True):
            graph.output(f"new_{name}", "float32", size, value)
    return graph


def _last(graph: Graph, maps: Value, lengths: Value | None) -> Value:
    """The last two columns of each line, of (S, C, height, 2 + n)."""
    if lengths is None:
        return graph.slice(maps, -COLUMNS_BEFORE, np.iinfo(np.int64).max, axis=3)
    places = graph.unsqueeze(graph.cast(lengths, "int64"), 1)
    places = graph.op("Add", places, np.arange(COLUMNS_BEFORE)[None])
    by_column = graph.transpose(maps, 0, 3, 1, 2)
    kept = graph.op("GatherND", by_column, graph.unsqueeze(places, 2), batch_dims=1)
    return graph.transpose(kept, 0, 2, 3, 1)
