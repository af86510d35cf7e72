"""Recurrent layers as ONNX: its LSTM and GRU operators, other cells as a loop of plain ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.cells import CELLS
from seqvision.models.recurrent import RecurrentStack
from seqvision.onnx.graph import Graph, Value
from seqvision.onnx.operations import OnnxOperations

# Gates in ONNX's order, by their numbers in ours: i, o, f, c and z, r, h.
_LSTM_ORDER, _GRU_ORDER = (0, 3, 1, 2), (1, 0, 2)

Carry = list[list[Value]]
"""Of each layer and direction, the parts of its memory, (B, H): c and h, or h."""


def carry_names(recurrent: RecurrentStack) -> list[list[str]]:
    """Names of the parts of each layer's memory, in one direction."""
    parts = ("c", "h") if CELLS[recurrent.cell].memory_is_pair else ("h",)
    return [[f"{part}_{layer}" for part in parts] for layer in range(recurrent.num_layers)]


def zero_carry(graph: Graph, recurrent: RecurrentStack, like: Value) -> Carry:
    """The memory before the first step, for as many sequences as `like` (B, ...) has."""
    shape = graph.concat(graph.size(like, 0), np.array([recurrent.hidden_size], np.int64), axis=0)
    zeros = graph.op("Expand", np.zeros((1, 1), np.float32), shape)
    directions = 2 if recurrent.bidirectional else 1
    parts = 2 if CELLS[recurrent.cell].memory_is_pair else 1
    return [[zeros] * parts for _ in range(recurrent.num_layers * directions)]


def layers(
    graph: Graph,
    recurrent: RecurrentStack,
    params: Mapping[str, Any],
    steps: Value,
    lengths: Value | None,
    carry: Carry,
) -> tuple[Value, Carry]:
    """`models.recurrent.RecurrentStack`.

    Args:
      graph: gets the nodes.
      recurrent: the layers.
      params: theirs.
      steps: (B, T, D).
      lengths: (B,) int32; None if all sequences have all steps, and the cell `has_operator`.
      carry: of each layer, and in both directions of each layer forward and backward.

    Returns:
      Outputs (B, T, H) or (B, T, 2 H), 0 in the padding, and the carry after the last step: the
      one before where a sequence has no step.
    """
    directions = ("_forward", "_backward") if recurrent.bidirectional else ("",)
    after: Carry = []
    for layer in range(recurrent.num_layers):
        outputs = []
        for direction in directions:
            cell = params[f"layer_{layer}{direction}"]["cell"]
            before = carry[len(after)]
            given = (graph, recurrent, cell, steps)
            reverse = direction == "_backward"
            if has_operator(recurrent):
                output, memory = _operator(*given, lengths, before, reverse)
            else:
                assert lengths is not None
                output, memory = _scan(*given, lengths, before, reverse)
            outputs.append(output)
            # onnxruntime gives 0 where there is no step.
            after.append(memory if lengths is None else _kept(graph, lengths, memory, before))
        steps = outputs[0] if len(outputs) == 1 else graph.concat(*outputs, axis=2)
    return steps, after


def has_operator(recurrent: RecurrentStack) -> bool:
    """Whether ONNX has an operator of the cell."""
    has_one = ("lstm", "gru", "gru_reset_before")
    return recurrent.cell in has_one and not recurrent.options.refine_gates


def _operator(
    graph: Graph,
    recurrent: RecurrentStack,
    cell: Mapping[str, Any],
    steps: Value,
    lengths: Value | None,
    before: list[Value],
    reverse: bool,
) -> tuple[Value, list[Value]]:
    """One layer in one direction by ONNX's operator."""
    is_lstm, size = recurrent.cell == "lstm", recurrent.hidden_size
    order = _LSTM_ORDER if is_lstm else _GRU_ORDER
    hidden_bias = np.zeros_like(cell["bias"])
    if recurrent.cell == "gru":
        hidden_bias[2 * size :] = cell["candidate_bias"]

    def in_order(array: np.ndarray) -> np.ndarray:
        """(D, G H) or (G H,) as (G H, D) or (G H,), with the gates in ONNX's order."""
        gates = np.split(array.T, len(order))
        return np.concatenate([gates[gate] for gate in order])

    bias = np.concatenate([in_order(cell["bias"]), in_order(hidden_bias)])
    weights = [in_order(cell["input_kernel"]), in_order(cell["recurrent_kernel"]), bias]
    *memory, hidden = [graph.unsqueeze(part, 0) for part in before]
    outputs = graph.ops(
        "LSTM" if is_lstm else "GRU",
        3 if is_lstm else 2,
        graph.transpose(steps, 1, 0, 2),
        *[array[None] for array in weights],
        lengths,
        hidden,
        *memory,
        hidden_size=size,
        direction="reverse" if reverse else "forward",
        **({} if is_lstm else {"linear_before_reset": int(recurrent.cell == "gru")}),
    )
    sequence, *final = outputs
    # (T, 1, B, H) as (B, T, H); the parts of the memory in our order.
    after = [graph.squeeze(part, 0) for part in reversed(final)]
    return graph.transpose(graph.squeeze(sequence, 1), 1, 0, 2), after


def _scan(
    graph: Graph,
    recurrent: RecurrentStack,
    cell: Mapping[str, Any],
    steps: Value,
    lengths: Value,
    before: list[Value],
    reverse: bool,
) -> tuple[Value, list[Value]]:
    """One layer in one direction as a loop over plain operators."""
    if reverse:
        steps = _reversed(graph, steps, lengths)
    projected = CELLS[recurrent.cell].project_inputs(OnnxOperations(graph), cell, steps)
    mask = step_mask(graph, lengths, graph.size(steps, 1))
    body, size = graph.loop_body("step"), recurrent.hidden_size
    names = [f"memory_{part}" for part in range(len(before))]
    unique = projected.name  # Two loops must not have inputs of one name.
    memory = [body.input(f"{unique}_{name}", "float32", ("B", size)) for name in names]
    gates = cell["bias"].shape[0]
    step_inputs = body.input(f"{unique}_step", "float32", ("B", gates))
    is_step = body.input(f"{unique}_is_step", "bool", ("B", 1))
    new = CELLS[recurrent.cell].next_memory(
        OnnxOperations(body),
        cell,
        tuple(memory) if len(memory) > 1 else memory[0],
        step_inputs,
        recurrent.options.refine_gates,
        None,
    )
    new = list(new) if isinstance(new, tuple) else [new]
    for name, part, old in zip(names, new, memory, strict=True):
        kept = body.op("Where", is_step, part, old)
        body.output(f"{unique}_new_{name}", "float32", ("B", size), kept)
    output = body.op("Where", is_step, new[-1], np.zeros((1, 1), np.float32))
    body.output(f"{unique}_output", "float32", ("B", size), output)
    *after, sequence = graph.ops(
        "Scan",
        len(before) + 1,
        *before,
        projected,
        graph.unsqueeze(mask, 2),
        body=body.proto(),
        num_scan_inputs=2,
        scan_input_axes=[1, 1],
        scan_output_axes=[1],
    )
    return _reversed(graph, sequence, lengths) if reverse else sequence, after


def step_mask(graph: Graph, lengths: Value, num_steps: Value) -> Value:
    """(B, T), True at the steps of each sequence.

    Args:
      graph: gets the nodes.
      lengths: (B,) int32.
      num_steps: T, as (1,) int64.
    """
    zero, one = np.array(0, np.int64), np.array(1, np.int64)
    # Not squeezed: onnxruntime folds a known T to (1,) there, and refuses the file.
    limit = graph.op("Reshape", num_steps, np.zeros(0, np.int64))
    numbers = graph.op("Range", zero, limit, one)
    return graph.op("Less", numbers, graph.unsqueeze(graph.cast(lengths, "int64"), 1))


def _reversed(graph: Graph, steps: Value, lengths: Value) -> Value:
    """The steps of each sequence in reverse order, the padding where it was."""
    # The operator leaves nothing of a sequence without a step to reverse, and demands one.
    at_least_one = graph.op("Max", graph.cast(lengths, "int64"), np.array(1, np.int64))
    return graph.op("ReverseSequence", steps, at_least_one, batch_axis=0, time_axis=1)


def _kept(graph: Graph, lengths: Value, memory: list[Value], before: list[Value]) -> list[Value]:
    """The memory, and the one before where there is no step."""
    has_step = graph.unsqueeze(graph.op("Greater", lengths, np.array(0, np.int32)), 1)
    return [graph.op("Where", has_step, *parts) for parts in zip(memory, before, strict=True)]
