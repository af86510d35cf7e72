"""Explanation of a config without training: its arrays, parameters, FLOPs and memory."""

import typing
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.dataset import Dataset, Split
from seqvision.data.device_feed import abstract_arrays
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.profiling.flops import count_flops
from seqvision.runs.header import parameter_table, residence
from seqvision.runtime.console import aligned, on_terminal, say
from seqvision.training.from_config import TrainingSetup, create_training, feed_size

_AXES = {"B": "batch", "T": "time", "D": "features", "H": "hidden", "K": "classes"}


def explain(config: ConfigDict | Settings) -> None:
    """Prints the arrays with their axes and shapes, the parameters, FLOPs and memory.

    Raises:
      UserError: a bad config, data that cannot be had, or a network that mixes up the examples of
        a batch.
    """
    settings = validate(config)
    for line in explanation(settings, load_dataset(settings, say, on_terminal(), compute=False)):
        say(line)


def explanation(settings: Settings, dataset: Dataset) -> Iterator[str]:
    """The lines that `explain` prints."""
    train, batch_size = dataset.split("train"), settings.data.batch_size
    setup = create_training(settings, dataset)
    params = jax.eval_shape(setup.init, 0).params
    check_axes(setup.model, setup.input_shape)
    inputs, lengths = _shapes(train, batch_size)
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits.items())
    num_outputs = f"{dataset.num_classes} {setup.task.outputs}"
    if not settings.reads_text:
        num_outputs = dataset.targets.described(dataset.class_names)
    yield f"{dataset.name}: {sizes}; {num_outputs}; {residence(dataset)}"
    if text := str(dataset.tones):
        yield f"values: {text}"
    yield f"arrays on their way, for a batch of {batch_size}:"
    arrays = arrays_on_the_way(setup.model, params, inputs, lengths)
    yield from aligned([("array", "axes", "shape", "type"), *arrays])
    yield "parameters:"
    yield from parameter_table(params)
    yield from _costs(settings, dataset, setup, (params, inputs, lengths))


def _costs(
    settings: Settings, dataset: Dataset, setup: TrainingSetup, example: tuple[Any, ...]
) -> Iterator[str]:
    """Lines on FLOPs and memory; `example` are shapes of the network's arguments."""
    batch_size, num_seeds = settings.data.batch_size, settings.num_seeds
    train = dataset.split("train")

    def apply(params: Any, inputs: Any, lengths: Any) -> Any:
        return setup.model.apply({"params": params}, inputs, lengths)

    num_batches, num_chunks = feed_size(train, batch_size, setup.steps.total)
    indices = jax.ShapeDtypeStruct((*setup.replicas.axes, num_batches, batch_size), jnp.int32)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    state = setup.abstract_state()
    arguments = (state, abstract_arrays(train, batch_size * num_batches), indices, count)
    forward = count_flops(apply, *example) / batch_size
    training = count_flops(setup.train_steps, *arguments) / (batch_size * num_seeds)
    yield "FLOPs per example (2 for each multiply-add of the products and convolutions):"
    yield f"  {forward:,.0f} to read it, {training:,.0f} to train on it"
    of_seeds = f" of {num_seeds} seeds" if num_seeds > 1 else ""
    yield f"memory of one training step{of_seeds}, on {setup.mesh.size} device(s):"
    sizes = memory(setup, arguments, num_chunks)
    yield from aligned([(name, f"{size / 2**20:,.1f} MiB") for name, size in sizes])


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
        if "with_outputs" in kwargs:  # What the readout does not need is shown, too.
            kwargs = kwargs | {"with_outputs": True}
        result = call(*args, **kwargs)
        if context.method_name == "__call__":
            hint = typing.get_type_hints(type(context.module).__call__).get("return")
            name = "/".join(context.module.path) or "logits"
            first = result
            if isinstance(result, tuple):
                first, hint = result[0], (*typing.get_args(hint), None)[0]
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


def _shapes(split: Split, batch_size: int) -> tuple[Any, Any]:
    """Those of a batch's inputs, as the network reads them, and of their lengths, if they vary."""
    indices = jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    batch = jax.eval_shape(split.take, abstract_arrays(split, batch_size), indices)
    return jax.ShapeDtypeStruct(batch["inputs"].shape, jnp.float32), batch.get("lengths")


def memory(
    setup: TrainingSetup, arguments: tuple[Any, ...], num_chunks: int = 1
) -> list[tuple[str, float]]:
    """Bytes of each kind that a training step needs, by XLA's own account.

    Args:
      setup: what is trained.
      arguments: shapes of what `train_steps` takes.
      num_chunks: how often the examples among them lie on the devices, see
        `training.from_config.feed_size`.
    """
    state, arrays, *_ = arguments
    compiled = setup.train_steps.lower(*arguments).compile()
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
    """Runs the network once on noise: its output for one example must not depend on another.

    Raises:
      UserError: it does. Most often, a loop over time runs over the batch axis instead.
    """
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(2, *input_shape)).astype(np.float32)
    lengths = jnp.full(2, input_shape[0], jnp.int32) if len(input_shape) == 4 else None
    # Noise for weights too: to compile the initializers would take longer than all the rest.
    shapes = jax.eval_shape(model.init, jax.random.key(0), inputs, lengths)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.1, leaf.shape), leaf.dtype), shapes
    )

    @jax.jit
    def read(inputs: Any) -> Any:
        logits: Any = model.apply(variables, inputs, lengths)
        return logits

    before = np.asarray(read(inputs))
    if before.shape[0] != 2:
        raise UserError(
            "the network mixes up batch and time: for 2 examples it has"
            f" {before.shape[0]} outputs; arrays are (batch, time, features), and loops run over"
            " axis 1"
        )
    for one, other in ((0, 1), (1, 0)):
        changed = inputs.copy()
        changed[other] = rng.uniform(size=input_shape)
        if not np.allclose(before[one], np.asarray(read(changed))[one], rtol=1e-4, atol=1e-5):
            raise UserError(
                "the network mixes up batch and time: its output for one example changes with"
                " another of the batch; arrays are (batch, time, features), and loops run over"
                " axis 1"
            )


def run(settings: Settings) -> int:
    """`--mode=explain`; returns the exit code."""
    explain(settings)
    return 0
