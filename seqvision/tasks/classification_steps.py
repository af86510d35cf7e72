"""Compiled steps that apply a classifier: to evaluate and to predict."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from seqvision.data.device_feed import arrays_spec
from seqvision.data.preprocessing import Windows, sliding_windows, to_unit_range
from seqvision.runtime.mesh import BATCH_SPEC, DATA_AXIS, shard_batch, shard_function
from seqvision.shapes import BatchIndices, ByteInputs, Lengths, Mask
from seqvision.tasks.base import Take, Task
from seqvision.tasks.losses import last_step


class BatchOutput(NamedTuple):
    """The outputs of a classifier for a batch.

    Attributes:
      probabilities: (B, K); of a clip, the mean over its windows.
      windows: (B, W, K), window by window, meaningless where a clip has fewer. One for images.
      steps: (B, W, T, K), after every step of every window; None unless the readout is `per_step`.
    """

    # No array types: they lie on the devices first, and later on the host.
    probabilities: Any
    windows: Any
    steps: Any


def make_eval_step(
    model: nn.Module,
    mesh: Mesh,
    take: Take,
    task: Task,
    windows: Windows | None = None,
    *,
    streamed: bool = False,
    with_outputs: bool = False,
) -> Callable[..., tuple[Any, Any]]:
    """Compiles `eval_step(params, arrays, indices, mask) -> sums, outputs` of one padded batch.

    Args:
      model: images or clips in [0, 1] to logits.
      mesh: the devices; each takes its shard of the batch.
      take: see `data.dataset.Split.take`.
      task: what is summed.
      windows: how clips are cut.
      streamed: `arrays` are the examples of this batch, sharded, rather than all of a split.
      with_outputs: `outputs` are a `BatchOutput`, the lengths and the labels; else None.
    """

    def eval_step(params: Any, arrays: Any, indices: BatchIndices, mask: Mask) -> tuple[Any, Any]:
        batch = take(arrays, indices)
        lengths = batch.get("lengths")
        logits = forward(model, params, batch["inputs"], lengths, windows)
        sums = task.sums(logits.whole, batch, task.losses(logits.whole, batch), mask)
        outputs = (logits.softmax(), lengths, batch["labels"]) if with_outputs else None
        return jax.lax.psum(sums, DATA_AXIS), outputs

    everywhere = PartitionSpec()
    in_specs = (everywhere, arrays_spec(streamed), BATCH_SPEC, BATCH_SPEC)
    return jax.jit(shard_function(eval_step, mesh, in_specs, (everywhere, BATCH_SPEC)))


def make_predict_step(
    model: nn.Module, mesh: Mesh, windows: Windows | None = None
) -> Callable[..., BatchOutput]:
    """Compiles `predict_step(params, inputs, lengths) -> BatchOutput`; lengths None for images."""

    def predict_step(params: Any, inputs: ByteInputs, lengths: Lengths | None) -> BatchOutput:
        return forward(model, params, inputs, lengths, windows).softmax()

    return shard_batch(predict_step, mesh, num_replicated=1)


class BatchLogits(NamedTuple):
    """Logits of a batch: of the whole (B, K), of each window (B, W, K), and after each step.

    The last are (B, W, T, K), or None unless the readout is `per_step`. The whole's are the
    logarithm of the mean of the windows' probabilities.
    """

    whole: Array
    windows: Array
    steps: Array | None

    def softmax(self) -> BatchOutput:
        steps = None if self.steps is None else jax.nn.softmax(self.steps)
        return BatchOutput(jax.nn.softmax(self.whole), jax.nn.softmax(self.windows), steps)


class WindowLogits(NamedTuple):
    """Logits of the windows of a batch; without windows, each example is one.

    Attributes:
      last: (B, W, K), at the end of each; meaningless where a clip has fewer.
      steps: (B, W, T, K), after each step; None unless the readout is `per_step`.
      mask: (B, W), which there are; None where all are.
    """

    # No array types: they lie on the devices first, and later on the host.
    last: Any
    steps: Any
    mask: Any


def window_logits(
    model: nn.Module,
    params: Any,
    inputs: ByteInputs,
    lengths: Lengths | None,
    windows: Windows | None,
) -> WindowLogits:
    """Applies the network to images or clips; `lengths` (B,) are None for images."""
    if windows is None or lengths is None:
        logits: Any = model.apply({"params": params}, to_unit_range(inputs), lengths)
        steps = logits[:, None] if logits.ndim == 3 else None
        return WindowLogits(last_step(logits, lengths)[:, None], steps, None)
    cut, cut_lengths, mask, _ = sliding_windows(inputs, lengths, windows.size, windows.stride)
    shape = mask.shape
    flat, flat_lengths = cut.reshape(-1, *cut.shape[2:]), cut_lengths.reshape(-1)
    logits = model.apply({"params": params}, to_unit_range(flat), flat_lengths)
    steps = logits.reshape(*shape, *logits.shape[1:]) if logits.ndim == 3 else None
    return WindowLogits(last_step(logits, flat_lengths).reshape(*shape, -1), steps, mask)


def forward(
    model: nn.Module,
    params: Any,
    inputs: ByteInputs,
    lengths: Lengths | None,
    windows: Windows | None,
) -> BatchLogits:
    """What a classifier says of images or clips; `lengths` (B,) are None for images."""
    last, steps, mask = window_logits(model, params, inputs, lengths, windows)
    if mask is None:
        return BatchLogits(last[:, 0], last, steps)
    number = mask.sum(axis=1).astype(jnp.float32)
    whole = jax.nn.logsumexp(jax.nn.log_softmax(last), axis=1, where=mask[..., None])
    return BatchLogits(whole - jnp.log(number)[:, None], last, steps)
