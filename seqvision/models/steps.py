"""Networks step by step: along which axis steps come, and a classifier's memory between them."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqvision.errors import UserError
from seqvision.models.cells import CELLS
from seqvision.models.cells.jax_operations import JaxOperations
from seqvision.models.classifier import SequenceClassifier
from seqvision.models.line_reader import LineReader
from seqvision.models.padding import step_mask
from seqvision.models.running_readouts import MEMORIES, STEPS
from seqvision.models.sequences import CNNColumns, Columns, Frames, Pixels, ReadyFeatures, Rows
from seqvision.shapes import HiddenSequence, Lengths, StepLogits

_OPERATIONS = JaxOperations()
# The axis of one input along which the steps of a maker lie, and what they are.
_STEP_AXES: dict[Any, tuple[int, str]] = {
    Rows: (0, "rows"),
    Columns: (1, "columns"),
    CNNColumns: (1, "columns"),
    Frames: (0, "frames"),
}

Memory = tuple[Any, tuple[Any, ...]]
"""Of S sequences: the carry of the recurrent layers, and the parts of the readout's memory."""


def step_axis(model: LineReader | SequenceClassifier) -> tuple[int, str]:
    """The axis of an image, clip or line along which steps come, and what they are.

    Raises:
      UserError: the network needs the whole input.
    """
    maker: Any = model.columns if isinstance(model, LineReader) else model.sequence
    if model.recurrent.bidirectional:
        raise UserError("it reads in both directions, and needs the whole input")
    if isinstance(maker, Frames) and maker.backbone != "none":
        raise UserError("its frames pass a pretrained backbone, a whole clip at once")
    if isinstance(maker, Frames) and maker.cnn_per_frame:
        raise UserError(
            "each frame position has a CNN of its own (config.model.cnn_per_frame), and it needs"
            " the whole clip"
        )
    if isinstance(maker, Pixels) and not maker.permuted:
        return 0, "pixels"
    if isinstance(maker, ReadyFeatures):
        raise UserError("its steps are features, and what is pushed are pixels")
    if type(maker) not in _STEP_AXES:
        raise UserError(f"its steps ({type(maker).__name__}) need the whole input")
    return _STEP_AXES[type(maker)]


def start_memory(model: SequenceClassifier, num_sequences: int) -> Memory:
    """The memory of S sequences before the first step, as numpy arrays (S, ...)."""
    recurrent = model.recurrent
    zeros = np.zeros((num_sequences, recurrent.hidden_size), np.float32)
    layer = (zeros, zeros) if CELLS[recurrent.cell].memory_is_pair else zeros
    readout = tuple(
        np.full((num_sequences, part.size or recurrent.hidden_size), part.start, np.float32)
        for part in MEMORIES[model.readout.kind]
    )
    return (layer,) * recurrent.num_layers, readout


def read_steps(
    model: SequenceClassifier,
    params: Mapping[str, Any],
    steps: Array,
    lengths: Lengths | None,
    memory: Memory,
) -> tuple[StepLogits, Memory]:
    """What a classifier of one direction says after each of the next steps of S sequences.

    Args:
      model: the network, see `step_axis`.
      params: its weights.
      steps: (S, T, ...) of values in [0, 1]: rows (width, channels), columns (height, channels),
        pixels (channels,) or frames (height, width, channels).
      lengths: (S,), how many of these steps each sequence has: 0 to T; T by default.
      memory: after the steps before.

    Returns:
      Logits (S, T, K): those of the whole network for the steps so far; of no meaning behind the
      end. And the memory after each sequence's last step.
    """
    carry, parts = memory
    inputs: Any = steps.reshape(*steps.shape[:2], -1)
    if isinstance(model.sequence, Frames):
        inputs = model.sequence.apply({"params": params["sequence"]}, steps)
    outputs, carry = model.recurrent.apply({"params": params["recurrent"]}, inputs, lengths, carry)
    if lengths is None:
        lengths = jnp.full(len(steps), steps.shape[1], jnp.int32)
    features, parts = _read_out(
        model.readout.kind, params.get("readout", {}), outputs, lengths, parts
    )
    classifier = nn.Dense(model.num_classes, dtype=model.dtype)
    logits: Any = classifier.apply({"params": params["classifier"]}, features)
    return logits.astype(jnp.float32), (carry, parts)


def _read_out(
    kind: str,
    params: Mapping[str, Any],
    outputs: HiddenSequence,
    lengths: Lengths,
    parts: tuple[Any, ...],
) -> tuple[HiddenSequence, tuple[Any, ...]]:
    """The readout's features (S, T, H) after every step, and its memory."""
    if kind not in STEPS:
        return outputs, parts
    scores = outputs[..., :1]
    if kind == "attention":
        hidden: Any = nn.Dense(outputs.shape[-1]).apply({"params": params["hidden"]}, outputs)
        score: Any = nn.Dense(1, use_bias=False)
        scores = score.apply({"params": params["score"]}, nn.tanh(hidden))
    mask = step_mask(lengths, outputs.shape[1])[..., None]

    def step(parts: Any, inputs: Any) -> tuple[Any, Array]:
        output, score, is_step = inputs
        features, new = STEPS[kind](_OPERATIONS, parts, output, score)
        kept = [jnp.where(is_step, *pair) for pair in zip(new, parts, strict=True)]
        return tuple(kept), features

    by_step = jax.tree.map(lambda array: array.swapaxes(0, 1), (outputs, scores, mask))
    parts, features = jax.lax.scan(step, parts, by_step)
    return features.swapaxes(0, 1), parts
