"""CNNs without a border, and those with weights for each frame, as ONNX and StableHLO."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from seqvision.errors import UserError
from seqvision.exporters.artefacts import artefacts
from seqvision.exporters.onnx_engine import whole
from seqvision.exporters.stablehlo import stablehlo
from seqvision.models import create_model
from seqvision.models.steps import step_axis
from seqvision.onnx.network import whole_network
from tests.exporters.test_onnx_network import jit_apply, random_params
from tests.exporters.test_onnx_step import STREAMS, read_in_pieces, unit

CLIP = (4, 11, 13, 2)


def model_of(**fields: Any) -> Any:
    return create_model(num_classes=5, hidden_size=6, cnn_channels=(3, 4), **fields)


@pytest.mark.parametrize(
    ("sequence", "fields"),
    [
        ("cnn_rows", {"cnn_padding": "valid"}),
        ("frames", {"cnn_padding": "valid", "cnn_per_frame": True}),
        ("frames", {"cnn_per_frame": True, "readout": "per_step"}),
    ],
)
def test_whole_networks(rng: np.random.Generator, sequence: str, fields: dict[str, Any]) -> None:
    model, shape = model_of(sequence=sequence, **fields), CLIP if sequence == "frames" else CLIP[1:]
    inputs = rng.integers(0, 256, (3, *shape), np.uint8)
    lengths = np.full(3, CLIP[0], np.int32) if sequence == "frames" else None
    given = [] if lengths is None else [lengths]
    params = random_params(rng, model, unit(inputs))
    expected = jit_apply(model, params, unit(inputs), *given)
    onnx = whole(whole_network(model, params, shape).model().SerializeToString())
    np.testing.assert_allclose(onnx(inputs, lengths), expected, atol=1e-5)
    program = export.deserialize(bytearray(stablehlo(model, params, shape)))
    np.testing.assert_allclose(program.call(inputs, *given), expected, atol=1e-5)


def test_the_step_of_a_network_without_a_border(rng: np.random.Generator) -> None:
    model = model_of(sequence="frames", cnn_padding="valid", readout="per_step")
    clips = rng.integers(0, 256, (STREAMS, *CLIP), np.uint8)
    params = random_params(rng, model, unit(clips))
    expected = jit_apply(model, params, unit(clips))
    np.testing.assert_allclose(read_in_pieces(rng, model, params, clips), expected, atol=1e-5)


def test_a_cnn_for_each_frame_has_no_step(rng: np.random.Generator) -> None:
    model = model_of(sequence="frames", cnn_per_frame=True)
    with pytest.raises(UserError, match=r"a CNN of its own \(config.model.cnn_per_frame\), and it"):
        step_axis(model)
    params = random_params(rng, model, jnp.zeros((1, *CLIP)))
    files = {artefact.name: artefact.content for artefact in artefacts(model, params, CLIP, True)}
    assert set(files) == {"network.onnx", "network.int8.onnx", "network.stablehlo"}
    clips, lengths = rng.integers(0, 256, (2, *CLIP), np.uint8), np.full(2, CLIP[0], np.int32)
    found = whole(files["network.int8.onnx"])(clips, lengths)
    expected = jit_apply(model, params, unit(clips), lengths)
    np.testing.assert_allclose(found, expected, atol=0.2 * np.abs(expected).max())
