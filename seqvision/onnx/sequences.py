"""Sequence makers as ONNX: images and clips to steps."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seqvision.models.parameters import convolutions
from seqvision.models.sequences import (
    CNNColumns,
    CNNFeatures,
    CNNRows,
    Columns,
    Frames,
    Patches,
    Pixels,
    Rows,
    SequenceMaker,
)
from seqvision.onnx.graph import Graph, Value

Params = Mapping[str, Any]


def _rows(graph: Graph, images: Value) -> Value:
    """(B, height, width, C) to (B, height, width * C)."""
    shape = graph.concat(graph.size(images, 0), graph.size(images, 1), _LEFT, axis=0)
    return graph.op("Reshape", images, shape)


_LEFT = np.array([-1], np.int64)


def rows(graph: Graph, maker: Rows, params: Params, images: Value) -> Value:
    return _rows(graph, images)


def columns(graph: Graph, maker: Columns, params: Params, images: Value) -> Value:
    return _rows(graph, graph.transpose(images, 0, 2, 1, 3))


def pixels(graph: Graph, maker: Pixels, params: Params, images: Value) -> Value:
    """Each pixel a step, in the network's order."""
    height, width, channels = params["image_shape"]
    steps = graph.reshape(images, 0, height * width, channels)
    if maker.permuted:
        order = np.random.RandomState(0).permutation(height * width)
        steps = graph.op("Gather", steps, order.astype(np.int64), axis=1)
    return steps


def patches(graph: Graph, maker: Patches, params: Params, images: Value) -> Value:
    (height, width, channels), size = params["image_shape"], maker.patch_size
    tiles = graph.reshape(images, 0, height // size, size, width // size, size, channels)
    steps = graph.transpose(tiles, 0, 1, 3, 2, 4, 5)
    return graph.reshape(steps, 0, (height // size) * (width // size), size * size * channels)


def cnn_features(graph: Graph, maker: CNNFeatures, params: Params, images: Value) -> Value:
    maps = _cnn(graph, maker, params["cnn"], images)
    return graph.unsqueeze(graph.op("Flatten", maps, axis=1), 1)


def cnn_rows(graph: Graph, maker: CNNRows, params: Params, images: Value) -> Value:
    return _rows(graph, _cnn(graph, maker, params["cnn"], images))


def frames(graph: Graph, maker: Frames, params: Params, clips: Value) -> Value:
    """Each frame a step; frames are folded into the batch for the CNN, or into the channels."""
    height, width, channels = params["image_shape"]
    if maker.cnn_per_frame:
        return _cnn_per_frame(graph, maker, params["cnn"], clips, (height, width, channels))
    images = graph.reshape(clips, -1, height, width, channels)
    maps = _cnn(graph, maker, params["cnn"], images)
    shape = graph.concat(graph.size(clips, 0), graph.size(clips, 1), _LEFT, axis=0)
    return graph.op("Reshape", maps, shape)


def cnn_columns(graph: Graph, maker: CNNColumns, params: Params, images: Value) -> Value:
    """(B, height, context + n, C) to (B, n, channels * map height)."""
    maps, height = graph.transpose(images, 0, 3, 1, 2), params["image_shape"][0]
    for block in convolutions(params["cnn"]):
        maps, height = column_block(graph, block, maps, height)
    return maps_to_steps(graph, maps, block["bias"].shape[0] * height)


def column_block(graph: Graph, block: Params, maps: Value, height: int) -> tuple[Value, int]:
    """`models.column_cnn.ColumnBlock`, channels first: two columns fewer; and the new height."""
    maps = _convolved(graph, block, maps, [1, 0, 1 + height % 2, 0])
    return graph.op("MaxPool", maps, kernel_shape=[2, 1], strides=[2, 1]), -(-height // 2)


def maps_to_steps(graph: Graph, maps: Value, size: int) -> Value:
    """(B, channels, height, n) to (B, n, size)."""
    shape = graph.concat(
        graph.size(maps, 0), np.array([size], np.int64), graph.size(maps, 3), axis=0
    )
    return graph.transpose(graph.op("Reshape", maps, shape), 0, 2, 1)


def _cnn(graph: Graph, maker: SequenceMaker, params: Params, images: Value) -> Value:
    """`models.cnn.CNN`: (B, height, width, C) to (B, map height, map width, channels)."""
    maps = graph.transpose(images, 0, 3, 1, 2)
    for block in convolutions(params):
        maps = _block(graph, maker, block, maps)
    return graph.transpose(maps, 0, 2, 3, 1)


def _cnn_per_frame(
    graph: Graph, maker: Frames, params: Params, clips: Value, image_shape: tuple[int, int, int]
) -> Value:
    """Clips (B, T, height, width, C) to steps (B, T, D): the frames are groups of channels."""
    height, width, channels = image_shape
    blocks = convolutions(params)
    num_frames = len(blocks[0]["bias"])
    maps = graph.transpose(clips, 0, 1, 4, 2, 3)
    maps = graph.reshape(maps, 0, num_frames * channels, height, width)
    for block in blocks:
        kernel = np.concatenate(list(block["kernel"]), axis=-1)
        merged = {"kernel": kernel, "bias": block["bias"].reshape(-1)}
        maps = _block(graph, maker, merged, maps, group=num_frames)
        height, width = (
            size // 2 - 1 if maker.cnn_padding == "valid" else -(-size // 2)
            for size in (height, width)
        )
    channels = blocks[-1]["bias"].shape[-1]
    maps = graph.reshape(maps, 0, num_frames, channels, height, width)
    return graph.reshape(
        graph.transpose(maps, 0, 1, 3, 4, 2), 0, num_frames, height * width * channels
    )


def _block(graph: Graph, maker: SequenceMaker, block: Params, maps: Value, **options: Any) -> Value:
    """`models.cnn.ConvBlock`, channels first; `options` of the convolution."""
    same = maker.cnn_padding == "same"
    maps = _convolved(graph, block, maps, [1, 1, 1, 1] if same else [0, 0, 0, 0], **options)
    return graph.op(
        "MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1 if same else 0
    )


def _convolved(graph: Graph, block: Params, maps: Value, pads: list[int], **options: Any) -> Value:
    kernel = np.transpose(block["kernel"], (3, 2, 0, 1))
    return graph.op("Relu", graph.op("Conv", maps, kernel, block["bias"], pads=pads, **options))


MAKERS: dict[type[SequenceMaker], Callable[..., Value]] = {
    Rows: rows,
    Columns: columns,
    Pixels: pixels,
    Patches: patches,
    CNNFeatures: cnn_features,
    CNNRows: cnn_rows,
    CNNColumns: cnn_columns,
    Frames: frames,
}
"""`make(graph, maker, params, images)`; `params` of the maker, with `image_shape`."""
