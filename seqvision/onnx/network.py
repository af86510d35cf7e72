"""Whole networks, and their steps with the memory in and out, as ONNX."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.classifier import SequenceClassifier
from seqvision.models.line_reader import LineReader
from seqvision.onnx.graph import Graph, Value
from seqvision.onnx.layers import layers, step_mask, zero_carry
from seqvision.onnx.readouts import dense, readout
from seqvision.onnx.sequences import MAKERS

Network = SequenceClassifier | LineReader
Params = Mapping[str, Any]


def whole_network(model: Network, params: Params, input_shape: tuple[int, ...]) -> Graph:
    """The network of whole images, clips or lines.

    Inputs: `inputs` uint8 (batch, *input_shape), where frames or columns may be any number if
    `any_length`; of clips and lines also `lengths` int32 (batch,). Output: `logits` float32
    (batch, K), or (batch, steps, K) after every step.

    Args:
      model: the network.
      params: its weights, as numpy arrays.
      input_shape: of one input.
    """
    graph = Graph("network")
    is_reader = isinstance(model, LineReader)
    of_clips = len(input_shape) == 4
    axes: list[int | str] = list(input_shape)
    if of_clips and any_length(model):
        axes[0] = "frames"
    if is_reader:
        axes[1] = "columns"
    inputs = graph.input("inputs", "uint8", ("batch", *axes))
    lengths = graph.input("lengths", "int32", ("batch",)) if is_reader or of_clips else None
    pixels = in_unit_range(graph, inputs)
    if isinstance(model, LineReader):
        assert lengths is not None
        pixels, lengths = _with_delay(graph, model, pixels, lengths)
    steps = sequence(graph, model, params, pixels, input_shape)
    if lengths is None:
        ones = graph.op("Expand", np.array([1], np.int64), graph.size(inputs, 0))
        lengths = graph.cast(graph.op("Mul", ones, graph.size(steps, 1)), "int32")
    carry = zero_carry(graph, model.recurrent, inputs)
    outputs, after = layers(graph, model.recurrent, params["recurrent"], steps, lengths, carry)
    kind = "per_step" if isinstance(model, LineReader) else model.readout.kind
    directions = 2 if model.recurrent.bidirectional else 1
    last = [parts[-1] for parts in after[-directions:]]
    final = last[0] if directions == 1 else graph.concat(*last, axis=1)
    features = readout(graph, kind, params.get("readout", {}), outputs, final, lengths)
    logits = dense(graph, params["classifier"], features)
    shape = ("batch", "steps") if kind == "per_step" else ("batch",)
    graph.output("logits", "float32", (*shape, model.num_classes), logits)
    return graph


def any_length(model: Network) -> bool:
    """Whether frames or columns may be any number: not with a CNN for each frame position."""
    return isinstance(model, LineReader) or not getattr(model.sequence, "cnn_per_frame", False)


def in_unit_range(graph: Graph, inputs: Value) -> Value:
    """Bytes as floats from 0 to 1."""
    return graph.op("Div", graph.cast(inputs, "float32"), np.array(255, np.float32))


def sequence(
    graph: Graph, model: Network, params: Params, inputs: Value, input_shape: tuple[int, ...]
) -> Value:
    """The steps (B, T, D) of images, clips or columns."""
    is_reader = isinstance(model, LineReader)
    maker: Any = model.columns if is_reader else model.sequence
    own = params.get("columns" if is_reader else "sequence", {})
    return MAKERS[type(maker)](graph, maker, own | {"image_shape": input_shape[-3:]}, inputs)


def _with_delay(
    graph: Graph, model: LineReader, pixels: Value, lengths: Value
) -> tuple[Value, Value]:
    """Lines with empty columns before them, for the CNN, and behind them."""
    width = graph.size(pixels, 2)
    mask = step_mask(graph, lengths, width)
    mask = graph.unsqueeze(graph.unsqueeze(mask, 1), 3)
    pixels = graph.op("Where", mask, pixels, np.zeros((1, 1, 1, 1), np.float32))
    pads = [0, 0, model.columns.context, 0, 0, 0, model.delay, 0]
    pixels = graph.op("Pad", pixels, np.array(pads, np.int64))
    return pixels, graph.op("Add", lengths, np.array(model.delay, np.int32))
