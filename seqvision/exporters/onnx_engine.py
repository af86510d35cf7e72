"""Exported networks run by onnxruntime."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from seqvision.errors import UserError, first_line
from seqvision.exporters.check import Engine
from seqvision.models.line_reader import LineReader
from seqvision.models.steps import step_axis
from seqvision.onnx.network import Network
from seqvision.onnx.session import load
from seqvision.onnx.step import Memory


@contextlib.contextmanager
def refusals_in_one_line(name: str) -> Iterator[None]:
    """What onnx and onnxruntime say of a file of this name that they refuse, as a UserError."""
    try:
        yield
    except Exception as error:  # Theirs have no common class.
        if not type(error).__module__.startswith("onnx"):
            raise
        raise UserError(
            f"{name}: onnxruntime refuses it ({first_line(error)}); nothing was written. Please"
            " report it, with the run's config.json"
        ) from None


def whole(content: bytes) -> Engine:
    """A whole network."""
    session = load(content)

    def logits(inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        named = {"inputs": inputs}
        if lengths is not None:
            named["lengths"] = lengths.astype(np.int32)
        return session.run(None, named)[0]

    return logits


def stepped(content: bytes, model: Network, parts: list[Memory], seed: int = 0) -> Engine:
    """A step, run on whole inputs in random pieces.

    Args:
      content: the step.
      model: the network that it is the step of.
      parts: of its memory.
      seed: of the sizes of the pieces, which are 1 to 16 steps.
    """
    session = load(content)
    axis, name = step_axis(model)
    rng = np.random.default_rng(seed)
    delay = model.delay if isinstance(model, LineReader) else 0
    per_step = isinstance(model, LineReader) or model.readout.kind == "per_step"

    def logits(inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        if name == "pixels":
            inputs = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        along = 1 if name == "pixels" else 1 + axis
        num_steps = inputs.shape[along]
        sizes = np.full(len(inputs), num_steps) if lengths is None else lengths
        if delay:  # Empty columns behind each line, whatever the padding holds.
            inputs = _emptied(inputs, sizes, along, delay)
            sizes = sizes + delay
        memory = _start(parts, len(inputs))
        found, at = [], 0
        while at < inputs.shape[along]:
            count = int(rng.integers(1, 17))
            piece = inputs.take(np.arange(at, min(at + count, inputs.shape[along])), along)
            left = np.clip(sizes - at, 0, piece.shape[along]).astype(np.int32)
            output, *after = session.run(None, {"inputs": piece, "lengths": left} | memory)
            memory = dict(zip(memory, after, strict=True))
            found.append(output)
            at += count
        steps = np.concatenate(found, axis=1)
        return steps if per_step else steps[np.arange(len(steps)), np.maximum(sizes, 1) - 1]

    return logits


def one_step(content: bytes, model: Network, parts: list[Memory]) -> Callable[[np.ndarray], Any]:
    """A call of the step with the first step of each input (B, ...)."""
    session = load(content)
    axis, name = step_axis(model)

    def step(inputs: np.ndarray) -> Any:
        if name == "pixels":
            inputs = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        first = inputs.take([0], 1 if name == "pixels" else 1 + axis)
        lengths = np.ones(len(inputs), np.int32)
        return session.run(None, {"inputs": first, "lengths": lengths} | _start(parts, len(inputs)))

    return step


def _emptied(lines: np.ndarray, sizes: np.ndarray, axis: int, delay: int) -> np.ndarray:
    pads = [(0, delay if number == axis else 0) for number in range(lines.ndim)]
    mask = np.arange(lines.shape[axis]) < sizes[:, None]
    return np.pad(lines * mask[:, None, :, None].astype(np.uint8), pads)


def _start(parts: list[Memory], batch_size: int) -> dict[str, np.ndarray]:
    return {p.name: np.full((batch_size, *p.shape), p.start, np.float32) for p in parts}
