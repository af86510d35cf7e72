"""Steps as ONNX give, in any pieces, what JAX gives of the whole sequence."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest

from seqvision.errors import UserError
from seqvision.models import create_model, create_reader
from seqvision.models.cells.base import CellOptions
from seqvision.models.steps import step_axis
from seqvision.onnx.step import memory_of, network_step
from tests.exporters.test_onnx_network import jit_apply, random_params
from tests.models.numpy_cells import CASES

STREAMS = 3


def read_in_pieces(
    rng: np.random.Generator, model: Any, params: Any, inputs: np.ndarray, pixels: bool = False
) -> np.ndarray:
    """Logits after every step; each stream gets 0 to 4 steps at a time, and waits at times."""
    axis = 1 if pixels else 1 + step_axis(model)[0]
    shape = inputs.shape[1:]
    if pixels:
        inputs = inputs.reshape(len(inputs), -1, inputs.shape[-1])
    graph = network_step(model, params, shape)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString())
    parts = memory_of(model, shape)
    memory = {p.name: np.full((STREAMS, *p.shape), p.start, np.float32) for p in parts}
    done, found = np.zeros(STREAMS, np.int64), [[] for _ in range(STREAMS)]
    while (done < inputs.shape[axis]).any():
        lengths = np.minimum(rng.integers(0, 5, STREAMS), inputs.shape[axis] - done)
        pieces = np.zeros((*inputs.shape[:axis], 4, *inputs.shape[axis + 1 :]), np.uint8)
        for stream, length in enumerate(lengths):
            piece = inputs[stream].take(np.arange(length) + done[stream], axis - 1)
            pieces[stream][(slice(None),) * (axis - 1) + (slice(length),)] = piece
        named = {"inputs": pieces, "lengths": lengths.astype(np.int32)} | memory
        logits, *after = session.run(None, named)
        memory = dict(zip(memory, after, strict=True))
        for stream, length in enumerate(lengths):
            found[stream] += list(logits[stream, :length])
        done += lengths
    return np.array(found)


def unit(array: np.ndarray) -> Any:
    return jnp.asarray(array, jnp.float32) / 255


@pytest.mark.parametrize(
    ("sequence", "cell", "refine"),
    [("columns", "lstm", False), *(("cnn_columns", *case) for case in CASES)],
)
def test_lines(rng: np.random.Generator, sequence: str, cell: str, refine: bool) -> None:
    model = create_reader(
        num_classes=5,
        hidden_size=6,
        cnn_channels=(3, 4),
        sequence=sequence,
        cell=cell,
        options=CellOptions(refine_gates=refine),
        num_layers=2,
        delay=3,
    )
    lines = rng.integers(0, 256, (STREAMS, 7, 12, 1), np.uint8)
    params = random_params(rng, model, unit(lines))
    expected = jit_apply(model, params, unit(lines))[:, :12]
    found = read_in_pieces(rng, model, params, lines)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def prefixes(inputs: np.ndarray, axis: int) -> Iterator[np.ndarray]:
    for length in range(1, inputs.shape[axis] + 1):
        yield inputs.take(np.arange(length), axis)


@pytest.mark.parametrize("readout", ["last", "mean", "max", "attention", "per_step"])
def test_clips_after_every_frame(rng: np.random.Generator, readout: str) -> None:
    """What the whole network says of the frames so far."""
    model = create_model(
        num_classes=5,
        hidden_size=6,
        cnn_channels=(3, 4),
        sequence="frames",
        readout=readout,
    )
    clips = rng.integers(0, 256, (STREAMS, 6, 5, 7, 2), np.uint8)
    params = random_params(rng, model, unit(clips))
    if readout == "per_step":
        expected = jit_apply(model, params, unit(clips))
    else:
        # Lengths, since a program is compiled for each shape.
        each = [
            jit_apply(model, params, unit(clips), np.full(STREAMS, length, np.int32))
            for length in range(1, 7)
        ]
        expected = np.stack(each, axis=1)
    found = read_in_pieces(rng, model, params, clips)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sequence", ["rows", "columns", "pixels"])
def test_images(rng: np.random.Generator, sequence: str) -> None:
    """After the last step it says what the whole network says."""
    model = create_model(num_classes=5, hidden_size=6, sequence=sequence, num_layers=2)
    images = rng.integers(0, 256, (STREAMS, 5, 6, 2), np.uint8)
    params = random_params(rng, model, unit(images))
    found = read_in_pieces(rng, model, params, images, pixels=sequence == "pixels")
    np.testing.assert_allclose(found[:, -1], jit_apply(model, params, unit(images)), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bidirectional": True}, "reads in both directions"),
        ({"sequence": "cnn_rows"}, "CNNRows"),
        ({"sequence": "permuted_pixels"}, "need the whole input"),
    ],
)
def test_what_needs_the_whole_input_says_so(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        step_axis(create_model(num_classes=2, **fields))
