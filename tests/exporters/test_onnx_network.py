"""Networks as ONNX give the logits of JAX in onnxruntime."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest

from seqvision.exporters import artefacts
from seqvision.exporters.description import step_name
from seqvision.models import create_model, create_reader
from seqvision.models.cells.base import CellOptions
from seqvision.models.readouts import READOUTS
from seqvision.models.sequences import SEQUENCES
from seqvision.onnx.network import whole_network
from tests.models.numpy_cells import CASES

IMAGE = (8, 12, 2)
CLIP = (6, 9, 7, 3)
LENGTHS = np.array([5, 1, 3, 0], np.int32)


def random_params(rng: np.random.Generator, model: Any, *inputs: Any) -> Any:
    """Biases are random too: at 0, a wrong place of theirs would not be seen."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), shapes)


def logits(graph: Any, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.model().SerializeToString())
    return session.run(None, inputs)[0]


def jit_apply(model: Any, params: Any, *inputs: Any) -> np.ndarray:
    return np.asarray(jax.jit(model.apply)({"params": params}, *inputs))


def check_images(rng: np.random.Generator, **fields: Any) -> None:
    model = create_model(num_classes=5, hidden_size=7, cnn_channels=(3, 4), **fields)
    images = rng.integers(0, 256, (3, *IMAGE), np.uint8)
    unit = jnp.asarray(images, jnp.float32) / 255
    params = random_params(rng, model, unit)
    expected = jit_apply(model, params, unit)
    found = logits(whole_network(model, params, IMAGE), inputs=images)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("cell", "refine"), CASES)
def test_cells(rng: np.random.Generator, cell: str, refine: bool) -> None:
    """Two layers in both directions."""
    options = CellOptions(refine_gates=refine)
    check_images(rng, cell=cell, options=options, bidirectional=True, num_layers=2)


@pytest.mark.parametrize(
    "sequence", ["rows", "columns", "pixels", "permuted_pixels", "patches", "cnn", "cnn_rows"]
)
@pytest.mark.parametrize(("cell", "refine"), CASES)
def test_sequences(rng: np.random.Generator, sequence: str, cell: str, refine: bool) -> None:
    options = CellOptions(refine_gates=refine)
    check_images(rng, sequence=sequence, cell=cell, options=options)


@pytest.mark.parametrize(
    "sequence", [*(name for name in SEQUENCES if name != "features"), "cnn_columns"]
)
@pytest.mark.parametrize(("cell", "refine"), CASES)
def test_all_files_are_loaded(
    rng: np.random.Generator, sequence: str, cell: str, refine: bool, monkeypatch: Any
) -> None:
    """By onnxruntime, those of 8 bits that save nothing, too."""
    monkeypatch.setattr(artefacts, "_LEAST_SAVED", -9)
    monkeypatch.setattr(artefacts, "stablehlo", lambda *_: b"")
    fields = {"sequence": sequence, "cell": cell, "options": CellOptions(refine_gates=refine)}
    create = create_reader if sequence == "cnn_columns" else create_model
    model: Any = create(num_classes=5, hidden_size=7, cnn_channels=(3, 4), **fields)
    shape = CLIP if sequence == "frames" else IMAGE
    params = random_params(rng, model, np.zeros((1, *shape), np.float32))
    files = list(artefacts.artefacts(model, params, shape, with_int8=True))
    assert len(files) == 1 + 2 * (1 + (step_name(model) is not None))
    for file in files[:-1]:
        onnxruntime.InferenceSession(file.content)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(("cell", "both"), [("lstm", True), ("janet", False)])
def test_clips_of_any_length(rng: np.random.Generator, readout: str, cell: str, both: bool) -> None:
    """Also of no frame at all, where onnxruntime's LSTM forgets what it started from."""
    model = create_model(
        num_classes=5,
        hidden_size=7,
        cnn_channels=(3, 4),
        sequence="frames",
        readout=readout,
        cell=cell,
        bidirectional=both,
    )
    clips = rng.integers(0, 256, (4, 5, *CLIP[1:]), np.uint8)
    unit = jnp.asarray(clips, jnp.float32) / 255
    params = random_params(rng, model, unit, LENGTHS)
    expected = jit_apply(model, params, unit, LENGTHS)
    found = logits(whole_network(model, params, CLIP), inputs=clips, lengths=LENGTHS)
    if readout == "per_step":
        mask = np.arange(5)[None, :, None] < LENGTHS[:, None, None]
        expected, found = expected * mask, found * mask
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sequence", ["columns", "cnn_columns"])
@pytest.mark.parametrize(("cell", "both"), [("lstm", False), ("gru", True)])
def test_lines(rng: np.random.Generator, sequence: str, cell: str, both: bool) -> None:
    model = create_reader(
        num_classes=5,
        hidden_size=7,
        cnn_channels=(3, 4, 5),
        sequence=sequence,
        cell=cell,
        bidirectional=both,
        delay=3,
    )
    lines = rng.integers(0, 256, (4, 11, 9, 1), np.uint8)
    lengths = np.array([9, 1, 3, 0], np.int32)
    unit = jnp.asarray(lines, jnp.float32) / 255
    params = random_params(rng, model, unit, lengths)
    expected = jit_apply(model, params, unit, lengths)
    found = logits(whole_network(model, params, (11, 20, 1)), inputs=lines, lengths=lengths)
    mask = np.arange(12)[None, :, None] < lengths[:, None, None] + 3
    np.testing.assert_allclose(found * mask, expected * mask, atol=1e-5)
