"""The step of a network as ONNX: the next columns, rows or frames and the memory, in and out."""

import dataclasses

import numpy as np

from seqvision.models.classifier import SequenceClassifier
from seqvision.models.line_reader import LineReader
from seqvision.models.running_readouts import MEMORIES
from seqvision.models.steps import step_axis
from seqvision.onnx.graph import Graph, Value
from seqvision.onnx.layers import Carry, carry_names, layers, step_mask
from seqvision.onnx.network import Network, Params, in_unit_range, sequence
from seqvision.onnx.readouts import dense, readout_so_far


@dataclasses.dataclass(frozen=True)
class Memory:
    """A part of the memory between steps: the input `name`, and the output `new_` + `name`.

    Attributes:
      name: of the input.
      shape: of one sequence; the batch comes before it.
      start: what all of it is before the first step.
    """

    name: str
    shape: tuple[int, ...]
    start: float = 0.0


def memory_of(model: Network, input_shape: tuple[int, ...]) -> list[Memory]:
    """All parts of the memory of a network, in their order."""
    recurrent, parts = model.recurrent, []
    size = recurrent.hidden_size
    if isinstance(model, LineReader) and model.columns.context:
        parts.append(Memory("columns", (input_shape[0], model.columns.context, input_shape[2])))
    for names in carry_names(recurrent):
        parts += [Memory(name, (size,)) for name in names]
    return parts + [
        Memory(part.name, (part.size or size,), part.start) for part in MEMORIES[_kind(model)]
    ]


def network_step(model: Network, params: Params, input_shape: tuple[int, ...]) -> Graph:
    """The step of a network, for any number of sequences and of steps.

    Inputs: `inputs` uint8, as many of the next columns, rows, pixels or frames as there are;
    `lengths` int32 (batch,), how many of them each sequence has; and the memory, see `memory_of`.
    Outputs: `logits` float32 (batch, steps, K) after every step, and the new memory, with `new_`
    before its names. Where a sequence has no step, its memory stays.

    Args:
      model: the network.
      params: its weights, as numpy arrays.
      input_shape: of one whole input.

    Raises:
      UserError: the network needs the whole input.
    """
    axis, name = step_axis(model)
    graph = Graph("step")
    shape: list[int | str] = ["pixels", input_shape[-1]]
    if name != "pixels":
        shape = [*input_shape[:axis], name, *input_shape[axis + 1 :]]
    inputs = graph.input("inputs", "uint8", ("batch", *shape))
    lengths = graph.input("lengths", "int32", ("batch",))
    memory = {
        part.name: graph.input(part.name, "float32", ("batch", *part.shape))
        for part in memory_of(model, input_shape)
    }
    new: dict[str, Value] = {}
    values = in_unit_range(graph, inputs)
    if "columns" in memory:
        values = graph.concat(memory["columns"], values, axis=2)
        new["columns"] = _last_columns(graph, values, lengths, model.columns.context)
    steps = values if name == "pixels" else sequence(graph, model, params, values, input_shape)
    names = carry_names(model.recurrent)
    carry: Carry = [[memory[part] for part in parts] for parts in names]
    outputs, after = layers(graph, model.recurrent, params["recurrent"], steps, lengths, carry)
    for parts, values_after in zip(names, after, strict=True):
        new |= dict(zip(parts, values_after, strict=True))
    parts = [part.name for part in MEMORIES[_kind(model)]]
    mask = step_mask(graph, lengths, graph.size(outputs, 1))
    features, readout_after = readout_so_far(
        graph,
        _kind(model),
        params.get("readout", {}),
        outputs,
        [memory[part] for part in parts],
        mask,
    )
    new |= dict(zip(parts, readout_after, strict=True))
    logits = dense(graph, params["classifier"], features)
    graph.output("logits", "float32", ("batch", "steps", model.num_classes), logits)
    for part in memory_of(model, input_shape):
        graph.output(f"new_{part.name}", "float32", ("batch", *part.shape), new[part.name])
    return graph


def _kind(model: Network) -> str:
    return model.readout.kind if isinstance(model, SequenceClassifier) else "per_step"


def _last_columns(graph: Graph, columns: Value, lengths: Value, count: int) -> Value:
    """The last columns of each line, (B, height, count, channels): those for the next step.

    Args:
      graph: gets the nodes.
      columns: (B, height, count + n, channels).
      lengths: (B,) int32, how many of the n columns each line has.
      count: how many are kept.
    """
    places = graph.unsqueeze(graph.cast(lengths, "int64"), 1)
    places = graph.op("Add", places, np.arange(count)[None])
    by_column = graph.transpose(columns, 0, 2, 1, 3)
    kept = graph.op("GatherND", by_column, graph.unsqueeze(places, 2), batch_dims=1)
    return graph.transpose(kept, 0, 2, 1, 3)
