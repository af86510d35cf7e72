"""What computes live reading: onnxruntime, numpy or JAX."""

import importlib.util
import math
from typing import Any

import jax

from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.inference.stream_network import (
    BySize,
    DeviceNetwork,
    HostNetwork,
    StreamNetwork,
    in_float32,
    sizes_of,
)
from seqvision.models.classifier import SequenceClassifier
from seqvision.models.host.classifier import HostClassifier
from seqvision.models.host.reader import HostReader
from seqvision.models.line_reader import LineReader
from seqvision.models.line_steps import read_lines, start_lines
from seqvision.models.parameters import on_host
from seqvision.models.steps import read_steps, start_memory, step_axis
from seqvision.runs.saved_run import Run

ENGINES = ("auto", "onnxruntime", "numpy", "jax")

_MOST_ON_HOST = 16
"""So many streams, or fewer, are read on the host; a compiled program takes longer to call."""
_MOST_MULTIPLICATIONS = 48_000_000
"""Of a step of all streams on the host: some 3 ms of one core, of which the devices may be more."""


def create_network(
    model: LineReader, params: Any, height: int, num_streams: int, engine: str = "auto"
) -> StreamNetwork:
    """The network of a run that reads lines.

    Args:
      model: the network.
      params: its weights.
      height: rows of a column.
      num_streams: lines side by side.
      engine: of `ENGINES`; `auto` is the fastest of those that can read it here.

    Raises:
      ValueError: that engine cannot read it.
    """
    multiplications = _multiplications(params, (height, 1))
    if engine == "auto":
        engine = _fastest(model, num_streams, multiplications)
    else:
        _check_engine(engine, model)
    if engine != "jax":
        params = on_host(params)
    if engine != "onnxruntime":
        return _plain_network(model, params, height, num_streams, engine)
    from seqvision.inference.onnx_reader import OnnxReader

    # For a single column onnxruntime takes longer than the others.
    single = "numpy" if _on_host(model.dtype, num_streams, multiplications) else "jax"
    return BySize(
        _plain_network(model, params, height, num_streams, single),
        OnnxReader(model, params, num_streams, height),
    )


def _plain_network(
    model: LineReader, params: Any, height: int, num_streams: int, engine: str
) -> StreamNetwork:
    """By `numpy` or `jax`."""
    if engine == "numpy":
        reader = HostReader(model, params)
        return HostNetwork(reader, reader.start(num_streams, height), time_axis=2)
    start = start_lines(model, params, num_streams, height)

    def read(params: Any, carry: Any, columns: Any, lengths: Any) -> Any:
        return read_lines(model, params, to_unit_range(columns), lengths, carry)

    return DeviceNetwork(read, params, start, num_streams, sizes_of(model.dtype), time_axis=2)


def create_classifier_network(
    model: SequenceClassifier, params: Any, input_shape: tuple[int, ...], num_streams: int
) -> StreamNetwork:
    """The network of a run that classifies step by step, where it is fastest.

    Args:
      model: the network, see `models.steps.step_axis`.
      params: its weights.
      input_shape: of an image (height, width, channels), or of a clip (T, ...).
      num_streams: images or clips side by side.
    """
    start = start_memory(model, num_streams)
    if _on_host(model.dtype, num_streams, _multiplications(params, input_shape[-3:-1])):
        return HostNetwork(HostClassifier(model, on_host(params)), start, time_axis=1)

    def read(params: Any, memory: Any, steps: Any, lengths: Any) -> Any:
        return read_steps(model, params, to_unit_range(steps), lengths, memory)

    return DeviceNetwork(read, params, start, num_streams, sizes_of(model.dtype), time_axis=1)


def classifier_steps(run: Run) -> tuple[int, str]:
    """The axis of an image or clip along which steps come, and what they are.

    Raises:
      UserError: the run reads text, or needs whole images.
    """
    if run.settings.reads_text:
        raise UserError(
            f"{run.workdir}: this run reads text and knows no classes; choose a run trained on"
            " images or clips, or read it with StreamReader"
        )
    assert isinstance(run.model, SequenceClassifier)
    try:
        return step_axis(run.model)
    except UserError as error:
        raise UserError(
            f"{run.workdir}: {error}; choose a run of one direction with config.model.sequence of"
            " rows, columns, pixels or frames, or --mode=predict (from Python: Predictor)"
        ) from None


def _fastest(model: LineReader, num_streams: int, multiplications: int) -> str:
    on_host = _on_host(model.dtype, num_streams, multiplications)
    is_near = on_host or jax.default_backend() == "cpu"
    if is_near and _has_onnxruntime() and _can_step(model):
        return "onnxruntime"
    return "numpy" if on_host else "jax"


def _check_engine(engine: str, model: LineReader) -> None:
    if engine not in ENGINES:
        raise ValueError(f"engine: {engine!r}; choose one of {', '.join(ENGINES)}")
    if engine == "numpy" and not in_float32(model.dtype):
        raise ValueError(
            f"engine: numpy reads in float32, and this run in {model.dtype}; choose jax"
        )
    if engine == "onnxruntime" and not _has_onnxruntime():
        raise ValueError(
            "engine: onnxruntime, or onnx, is not installed: pip install 'seqvision[export]', or"
            " choose numpy"
        )
    if engine == "onnxruntime" and not _can_step(model):
        others = "numpy or jax" if in_float32(model.dtype) else "jax"
        raise ValueError(
            "engine: onnxruntime reads lstm and gru in float32, without refine gates, and this"
            f" run is another; choose {others}"
        )


def _has_onnxruntime() -> bool:
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def _can_step(model: LineReader) -> bool:
    from seqvision.onnx.live_step import can_step

    return can_step(model)


def _on_host(dtype: Any, num_streams: int, multiplications: int) -> bool:
    """Whether numpy reads streams sooner, whose steps take so many multiplications each."""
    is_little = num_streams * multiplications <= _MOST_MULTIPLICATIONS
    return in_float32(dtype) and num_streams <= _MOST_ON_HOST and is_little


def _multiplications(params: Any, size: tuple[int, ...]) -> int:
    """Of a step: of a frame (height, width), or of a column (height, 1)."""
    blocks: Any = next(
        (params[name]["cnn"] for name in ("columns", "sequence") if name in params), {}
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 2)
    for number in range(len(blocks)):  # Each has half as many rows and columns as the one before.
        count += blocks[f"block_{number}"]["conv"]["kernel"].size * math.prod(size)
        size = tuple(-(-length // 2) for length in size)
    return int(count)
