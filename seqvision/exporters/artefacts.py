"""The files of an export, and the check of each."""

import logging
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax import export

from seqvision.errors import UserError
from seqvision.exporters.check import Engine, Examples, Found, median_seconds
from seqvision.exporters.description import step_name
from seqvision.exporters.onnx_engine import load, one_step, refusals_in_one_line, stepped, whole
from seqvision.exporters.scoring import MOST_LOSS, Scoring
from seqvision.exporters.stablehlo import stablehlo
from seqvision.onnx.network import Network, whole_network
from seqvision.onnx.step import memory_of, network_step
from seqvision.runtime.console import say

MOST_DIFFERENCE = 1e-4
"""Of the logits of float32 files from JAX's."""
_LEAST_SAVED = 0.1
"""Of the bytes of a file, by 8 bits; else that is left out."""
_SIZES = (1, 128)


class Artefact(NamedTuple):
    """A file of an export.

    Attributes:
      name: of the file.
      content: its bytes.
      is_int8: whether its weights have 8 bits.
    """

    name: str
    content: bytes
    is_int8: bool = False


class Checked(NamedTuple):
    """What the check measured of a file.

    Attributes:
      name: of the file.
      num_bytes: its size.
      found: beside JAX.
      seconds: a call with 1 and with 128 inputs; of a step, with one step of each.
    """

    name: str
    num_bytes: int
    found: Found
    seconds: tuple[float, ...]


def artefacts(
    model: Network, params: Any, input_shape: tuple[int, ...], with_int8: bool
) -> Iterator[Artefact]:
    """All files of a network: the whole, its step if it has one, both in 8 bits, StableHLO.

    Each ONNX file was loaded by onnxruntime. One of 8 bits that would not be smaller is left out,
    with a line that says so.

    Args:
      model: the network, in float32.
      params: its weights, as numpy arrays.
      input_shape: of one input.
      with_int8: whether to write the 8-bit files.

    Raises:
      UserError: onnxruntime refuses a file.
    """
    graphs = {"network": whole_network(model, params, input_shape)}
    if step_name(model):
        graphs["step"] = network_step(model, params, input_shape)
    for name, graph in graphs.items():
        with refusals_in_one_line(f"{name}.onnx"):
            content = graph.model().SerializeToString()
            load(content)
        yield Artefact(f"{name}.onnx", content)
        if not with_int8:
            continue
        with refusals_in_one_line(f"{name}.int8.onnx"):
            smaller = _quantized(content)
            load(smaller)
        if len(smaller) <= (1 - _LEAST_SAVED) * len(content):
            yield Artefact(f"{name}.int8.onnx", smaller, is_int8=True)
        else:
            say(
                f"{name}.int8.onnx is left out: it has {len(smaller):,} bytes, {name}.onnx"
                f" {len(content):,}; onnxruntime has 8 bits for LSTM, MatMul and Conv, none for GRU"
            )
    yield Artefact("network.stablehlo", stablehlo(model, params, input_shape))


def checked(artefact: Artefact, model: Network, examples: Examples) -> Checked:
    """Runs a file on all examples.

    Raises:
      UserError: it is not equal to the network.
    """
    name, content, _ = artefact
    parts = memory_of(model, examples.input_shape) if name.startswith("step") else []
    engine = _engine(artefact, model, parts)
    with refusals_in_one_line(name):
        found = examples.measure(engine, name)
    _check(artefact, found, examples.score(), examples.scoring)
    step = one_step(content, model, parts) if name.startswith("step") else None

    def call(inputs: np.ndarray, lengths: np.ndarray | None) -> Any:
        return engine(inputs, lengths) if step is None else step(inputs)

    seconds = [median_seconds(partial(call, *examples.some(size))) for size in _SIZES]
    return Checked(name, len(content), found, tuple(seconds))


def _engine(artefact: Artefact, model: Network, parts: list[Any]) -> Engine:
    name, content, _ = artefact
    if name.endswith(".onnx"):
        return stepped(content, model, parts) if name.startswith("step") else whole(content)
    call = export.deserialize(bytearray(content)).call

    def logits(inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        return np.asarray(call(inputs, *([] if lengths is None else [lengths.astype(np.int32)])))

    return logits


def _check(artefact: Artefact, found: Found, score: float, scoring: Scoring) -> None:
    most = MOST_LOSS * scoring.unit
    if artefact.is_int8 and not scoring.loss(found.score, score) <= most:
        raise UserError(
            f"{artefact.name}: {scoring.text(found.score)} where JAX has {scoring.metric}"
            f" {scoring.text(score)}, a loss of {scoring.text(most)} is allowed; nothing was"
            " written. Leave the 8-bit files out with --int8=false"
        )
    if not artefact.is_int8 and not found.difference <= MOST_DIFFERENCE:  # NaN is refused too.
        raise UserError(
            f"{artefact.name}: its logits differ from JAX's by up to {found.difference:.2g},"
            f" {MOST_DIFFERENCE:g} is allowed; nothing was written. Please report it, with the"
            " run's config.json"
        )


def _quantized(content: bytes) -> bytes:
    """The same with weights of 8 bits; what is multiplied with them is rounded as it comes."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        before.write_bytes(content)
        # It advises on the root logger to optimise first, which is for other operators.
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(
                before,
                after,
                weight_type=QuantType.QInt8,
                extra_options={"EnableSubgraph": True},
            )
        finally:
            logging.disable(logging.NOTSET)
        return after.read_bytes()
