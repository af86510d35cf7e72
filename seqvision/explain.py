"""What a config builds, without training: every array on its way, its cost in work and memory."""

import typing
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.config.validation import validate
from seqvision.data.dataset import AnySplit, Dataset
from seqvision.data.from_config import load_dataset
from seqvision.data.streamed import StreamedSplit
from seqvision.errors import UserError
from seqvision.profiling.flops import count_flops
from seqvision.runs.header import parameter_table, residence
from seqvision.runtime.console import aligned, on_terminal, say
from seqvision.runtime.mesh import training_mesh
from seqvision.training.from_config import TrainingSetup, create_training
from seqvision.training.state import abstract_state
from seqvision.training.streamed import CHUNKS, chunk_size

_AXES = {"B": "batch", "T": "time", "D": "features", "H": "hidden", "K": "classes"}


def explain(config: ConfigDict | Settings) -> None:
    """Prints the arrays with their axes and shapes, the parameters, FLOPs and memory.

    Raises:
      UserError: a bad config, data that cannot be had, or a network that mixes up the examples of
        a batch.
    """
    settings = validate(config)
    for line in explanation(settings, load_dataset(settings, say, on_terminal())):
        say(line)


def explanation(settings: Settings, dataset: Dataset) -> Iterator[str]:
    """The lines that `explain` prints."""
    batch_size, num_seeds = settings.data.batch_size, settings.num_seeds
    mesh, train = training_mesh(batch_size, num_seeds), dataset.split("train")
    steps = Steps.of(settings, len(train))
    program = create_training(settings, dataset, steps, mesh)
    state = abstract_state(program.init, mesh, num_seeds)
    params = jax.eval_shape(program.init, 0).params
    check_axes(program.model, program.input_shape)
    inputs, lengths = _shapes(train, batch_size)
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits.items())
    kinds = "symbols, and the blank of CTC" if settings.reads_text else "classes"
    yield f"{dataset.name}: {sizes}; {dataset.num_classes} {kinds}; {residence(dataset)}"
    yield f"arrays on their way, for a batch of {batch_size}:"
    arrays = arrays_on_the_way(program.model, params, inputs, lengths)
    yield from aligned([("array", "axes", "shape", "type"), *arrays])
    yield "parameters:"
    yield from parameter_table(params)

    def read(params: Any, inputs: Any, lengths: Any) -> Any:
        return program.model.apply({"params": params}, inputs, lengths)

    num_batches, num_chunks = 1, 1
    if isinstance(train, StreamedSplit):
        num_batches, num_chunks = chunk_size(settings, steps, train), CHUNKS
    shape = (num_batches, batch_size)
    indices = jax.ShapeDtypeStruct(shape if num_seeds == 1 else (num_seeds, *shape), jnp.int32)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = (state, _arrays(train, batch_size * num_batches), indices, count)
    reading = count_flops(read, params, inputs, lengths) / batch_size
    training = count_flops(program.train_steps, *arguments) / (batch_size * num_seeds)
    yield "FLOPs per example (2 for each multiply-add of the products and convolutions):"
    yield f"  {reading:,.0f} to read it, {training:,.0f} to train on it"
    of_seeds = f" of {num_seeds} seeds" if num_seeds > 1 else ""
    yield f"memory of one training step{of_seeds}, on {mesh.size} device(s):"
    yield from aligned(
        [
            (name, f"{size / 2**20:,.1f} MiB")
            for name, size in memory(program, arguments, num_chunks)
        ]
    )


def arrays_on_the_way(
    model: nn.Module, params: Any, inputs: Any, lengths: Any
) -> list[tuple[str, str, str, str]]:
    """Name, axes, shape and type of what each part of the network returns, in order.

    Axis names are those of the parts' own return annotations.
    """
    rows = [_row("inputs", inputs, _inputs_axes(inputs))]

    def note(
        call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        result = call(*args, **kwargs)
        if context.method_name == "__call__":
            hint = typing.get_type_hints(type(context.module).__call__).get("return")
            name = "/".join(context.module.path) or "logits"
            first = result[0] if isinstance(result, tuple) else result
            axes = _axes(hint, first.ndim)
            if axes:
                rows.append(_row(name, first, axes))
        return result

    def apply(params: Any, inputs: Any, lengths: Any) -> Any:
        with nn.intercept_methods(note):
            return model.apply({"params": params}, inputs, lengths)

    jax.eval_shape(apply, params, inputs, lengths)
    return rows


def _inputs_axes(inputs: Any) -> str:
    return "B T height width channels" if inputs.ndim == 5 else "B height width channels"


def _axes(hint: Any, ndim: int) -> str:
    """The axes in an annotation such as `Float[Array, "B T D"]`, of as many axes as the array."""
    if hasattr(hint, "dim_str"):
        return hint.dim_str if len(hint.dim_str.split()) == ndim else ""
    found = (_axes(part, ndim) for part in typing.get_args(hint))
    return next((axes for axes in found if axes), "")


def _row(name: str, array: Any, axes: str) -> tuple[str, str, str, str]:
    names = " ".join(_AXES.get(axis, axis) for axis in axes.split())
    return name, names, " x ".join(map(str, array.shape)), array.dtype.name


def _arrays(split: AnySplit, num_read: int) -> Any:
    """Shapes of what has to lie on the devices: all examples, or `num_read` that are read."""
    if not isinstance(split, StreamedSplit):
        return jax.eval_shape(lambda: split.arrays)
    example = split.read(np.zeros(1, np.int32))
    return {
        name: jax.ShapeDtypeStruct((num_read, *array.shape[1:]), array.dtype)
        for name, array in example.items()
    }


def _shapes(split: AnySplit, batch_size: int) -> tuple[Any, Any]:
    """Those of a batch's inputs, as the network reads them, and of their lengths, if they vary."""
    indices = jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    batch = jax.eval_shape(split.take, _arrays(split, batch_size), indices)
    return jax.ShapeDtypeStruct(batch["inputs"].shape, jnp.float32), batch.get("lengths")


def memory(
    program: TrainingSetup, arguments: tuple[Any, ...], num_chunks: int = 1
) -> list[tuple[str, float]]:
    """Bytes of each kind that a training step needs, by XLA's own account.

    Args:
      program: what is trained.
      arguments: shapes of what `train_steps` takes.
      num_chunks: how often the examples among them lie on the devices, see
        `training.streamed.CHUNKS`.
    """
    state, arrays, *_ = arguments
    compiled = program.train_steps.lower(*arguments).compile()
    analysis = compiled.memory_analysis()
    sizes = [
        ("weights, optimizer state", _bytes(state)),
        ("training examples", num_chunks * _bytes(arrays)),
    ]
    if analysis is not None:  # Not every platform gives an account.
        sizes.append(("temporary arrays: activations, gradients", analysis.temp_size_in_bytes))
    return [*sizes, ("total", sum(size for _, size in sizes))]


def _bytes(tree: Any) -> float:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def check_axes(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Runs the network once on noise: what it says of one example must not depend on another.

    Raises:
      UserError: it does. Most often, a loop over time runs over the batch axis instead.
    """
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(2, *input_shape)).astype(np.float32)
    lengths = jnp.full(2, input_shape[0], jnp.int32) if len(input_shape) == 4 else None
    variables = jax.jit(model.init)(jax.random.key(0), inputs, lengths)

    @jax.jit
    def read(inputs: Any) -> Any:
        logits: Any = model.apply(variables, inputs, lengths)
        return logits

    before = np.asarray(read(inputs))
    if before.shape[0] != 2:
        raise UserError(
            "the network mixes up batch and time: for 2 examples it answers"
            f" {before.shape[0]} times; arrays are (batch, time, features), and loops run over"
            " axis 1"
        )
    for one, other in ((0, 1), (1, 0)):
        changed = inputs.copy()
        changed[other] = rng.uniform(size=input_shape)
        if not np.allclose(before[one], np.asarray(read(changed))[one], rtol=1e-4, atol=1e-5):
            raise UserError(
                "the network mixes up batch and time: what it says of one example changes with"
                " another of the batch; arrays are (batch, time, features), and loops run over"
                " axis 1"
            )


def run(settings: Settings) -> int:
    """`--mode=explain`; returns the exit code."""
    explain(settings)
    return 0
