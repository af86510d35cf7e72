"""Readouts as ONNX: of whole sequences, and after every step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqvision.models.running_readouts import STEPS
from seqvision.onnx.graph import Graph, Value
from seqvision.onnx.layers import step_mask
from seqvision.onnx.operations import OnnxOperations

Params = Mapping[str, Any]

_LOWEST = np.finfo(np.float32).min


def dense(graph: Graph, params: Params, features: Value) -> Value:
    return graph.op("MatMul", features, params["kernel"]) + params["bias"]


def readout(
    graph: Graph, kind: str, params: Params, outputs: Value, final: Value, lengths: Value
) -> Value:
    """`models.readouts.Readout`: (B, H), or (B, T, H) of `per_step`.

    Args:
      graph: gets the nodes.
      kind: of the readout.
      params: its own.
      outputs: (B, T, H).
      final: (B, H), the hidden state after all steps.
      lengths: (B,) int32.
    """
    if kind in ("last", "per_step"):
        return final if kind == "last" else outputs
    mask = graph.unsqueeze(step_mask(graph, lengths, graph.size(outputs, 1)), 2)
    zero, axis = np.zeros((1, 1, 1), np.float32), np.array([1], np.int64)
    if kind == "mean":
        total = graph.op("ReduceSum", graph.op("Where", mask, outputs, zero), axis, keepdims=0)
        count = graph.op("Max", graph.cast(lengths, "float32"), np.array(1, np.float32))
        return graph.op("Div", total, graph.unsqueeze(count, 1))
    lowest = np.full((1, 1, 1), _LOWEST)
    if kind == "max":
        seen = graph.op("Where", mask, outputs, lowest)
        most = graph.op("ReduceMax", seen, axes=[1], keepdims=0)
        is_any = graph.unsqueeze(graph.op("Greater", lengths, np.array(0, np.int32)), 1)
        return graph.op("Where", is_any, most, np.zeros((1, 1), np.float32))
    scores = graph.op("Where", mask, _scores(graph, params, outputs), lowest)
    weights = graph.op("Where", mask, graph.op("Softmax", scores, axis=1), zero)
    return graph.op("ReduceSum", weights * outputs, axis, keepdims=0)


def readout_so_far(
    graph: Graph,
    kind: str,
    params: Params,
    outputs: Value,
    memory: Sequence[Value],
    mask: Value,
) -> tuple[Value, list[Value]]:
    """`models.running_readouts`: the features (B, T, H) after every step, and the memory.

    Args:
      graph: gets the nodes.
      kind: of the readout.
      params: its own.
      outputs: (B, T, H).
      memory: its parts.
      mask: (B, T), True at steps; where there is none, the memory stays.
    """
    if kind not in STEPS:
        return outputs, []
    scores = _scores(graph, params, outputs) if kind == "attention" else outputs
    body = graph.loop_body("readout")
    before = [
        body.input(f"readout_{number}", "float32", ("B", "W")) for number in range(len(memory))
    ]
    output = body.input("readout_output", "float32", ("B", "H"))
    score = body.input("readout_score", "float32", ("B", "W"))
    is_step = body.input("readout_is_step", "bool", ("B", 1))
    features, after = STEPS[kind](OnnxOperations(body), tuple(before), output, score)
    for number, (new, old) in enumerate(zip(after, before, strict=True)):
        kept = body.op("Where", is_step, new, old)
        body.output(f"readout_new_{number}", "float32", ("B", "W"), kept)
    body.output("readout_features", "float32", ("B", "H"), features)
    *new_memory, so_far = graph.ops(
        "Scan",
        len(memory) + 1,
        *memory,
        outputs,
        scores,
        graph.unsqueeze(mask, 2),
        body=body.proto(),
        num_scan_inputs=3,
        scan_input_axes=[1, 1, 1],
        scan_output_axes=[1],
    )
    return so_far, new_memory


def _scores(graph: Graph, params: Params, outputs: Value) -> Value:
    """Of attention, (B, T, 1)."""
    hidden = graph.op("Tanh", dense(graph, params["hidden"], outputs))
    return graph.op("MatMul", hidden, params["score"]["kernel"])
