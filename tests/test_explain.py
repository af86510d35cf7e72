"""Explaining a config: axes, FLOPs by hand, every shipped config, and the batch/time mix-up."""

import dataclasses
import importlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.dataset import Dataset
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.explain import arrays_on_the_way, check_axes, explanation
from seqvision.models import create_model
from seqvision.profiling.flops import count_flops
from seqvision.runtime.native_library import compiler
from tests.config.test_config import shipped


def test_flops_by_hand() -> None:
    a, b = jax.ShapeDtypeStruct((3, 4), "float32"), jax.ShapeDtypeStruct((4, 4), "float32")

    def looped(a: Any, b: Any) -> Any:
        return jax.lax.scan(lambda carry, _: (jax.jit(jnp.matmul)(carry, b), None), a, length=7)[0]

    assert count_flops(looped, a, b) == 7 * 2 * 3 * 4 * 4
    # The gradient of a product is two products.
    grad = jax.grad(lambda a, b: looped(a, b).sum(), argnums=(0, 1))
    assert count_flops(grad, a, b) == 3 * 7 * 2 * 3 * 4 * 4
    images, kernel = (jax.ShapeDtypeStruct(s, "float32") for s in ((2, 5, 6, 3), (3, 3, 3, 8)))

    def convolved(images: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    assert count_flops(convolved, images, kernel) == 2 * 2 * 5 * 6 * 8 * 3 * 3 * 3


@pytest.mark.parametrize(
    ("execution", "num_features"),
    [("scan", 28 + 16), ("fused", 28 + 1 + 16)] + [("native", 28 + 1 + 16)] * bool(compiler()),
)
def test_lstm_flops_by_hand(execution: str, num_features: int) -> None:
    model = create_model(num_classes=10, hidden_size=16, execution=execution)
    inputs = jnp.zeros((1, 28, 28, 1))
    params = jax.eval_shape(model.init, jax.random.key(0), inputs)
    # 28 steps of (28 + 16) x 64 (fused and native: the bias is one more row), then 16 x 10.
    assert count_flops(model.apply, params, inputs) == 2 * (28 * num_features * 64 + 160)


def test_arrays_on_the_way() -> None:
    model = create_model(
        num_classes=3, sequence="frames", cnn_channels=(2,), hidden_size=5, bidirectional=True
    )
    inputs = jax.ShapeDtypeStruct((4, 6, 8, 10, 1), "float32")
    lengths = jax.ShapeDtypeStruct((4,), "int32")
    params = jax.eval_shape(model.init, jax.random.key(0), inputs, lengths)["params"]
    rows = {name: rest for name, *rest in arrays_on_the_way(model, params, inputs, lengths)}
    assert next(iter(rows)) == "inputs"
    assert list(rows)[-1] == "logits"
    assert rows["inputs"] == ["batch time height width channels", "4 x 6 x 8 x 10 x 1", "float32"]
    assert rows["sequence/cnn"][:2] == [
        "batch map_height map_width map_channels",
        "24 x 4 x 5 x 2",
    ]
    assert rows["sequence"][:2] == ["batch time features", "4 x 6 x 40"]
    assert rows["recurrent/layer_0_backward"][:2] == ["batch time hidden", "4 x 6 x 5"]
    assert rows["recurrent"][:2] == ["batch time hidden", "4 x 6 x 10"]
    assert rows["logits"][:2] == ["batch classes", "4 x 3"]
    assert not any(name.endswith("conv") for name in rows)  # It returns what goes in.


def test_arrays_of_a_cnn_for_each_frame() -> None:
    model = create_model(
        num_classes=3, sequence="frames", cnn_channels=(2,), cnn_padding="valid", cnn_per_frame=True
    )
    inputs = jax.ShapeDtypeStruct((4, 6, 8, 11, 1), "float32")
    params = jax.eval_shape(model.init, jax.random.key(0), inputs)["params"]
    rows = {name: rest for name, *rest in arrays_on_the_way(model, params, inputs, None)}
    axes = "time batch map_height map_width map_channels"
    assert rows["sequence/cnn"][:2] == [axes, "6 x 4 x 3 x 4 x 2"]
    assert rows["sequence"][:2] == ["batch time features", "4 x 6 x 24"]


def config_of(name: str, variant: str) -> ConfigDict:
    module = importlib.import_module(f"configs.{name}")
    return module.get_config(variant) if variant else module.get_config()


def different_networks() -> list[tuple[str, str]]:
    """Of the shipped configs with the same network and examples, the first."""
    first: dict[str, tuple[str, str]] = {}
    for name, variant in shipped():
        config = config_of(name, variant)
        examples = config.data.source, config.data.height, config.clips.to_json()
        first.setdefault(f"{config.model.to_json()} {examples}", (name, variant))
    return [one for one in first.values() if one[0] != "series"]  # Of own data.


@pytest.mark.parametrize(("name", "variant"), different_networks())
def test_every_shipped_config_passes(
    name: str,
    variant: str,
    small_config: ConfigDict,
    mnist: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_of(name, variant)
    config.data.dir, config.data.cache_dir = small_config.data.dir, small_config.data.cache_dir
    # What memory a step takes is XLA's account, after a compilation: tested below.
    monkeypatch.setattr("seqvision.explain.memory", lambda *_: [("none", 0.0)])
    settings = validate(config)
    if settings.data.source == "tfds" and settings.data.height == 0:
        dataset = mnist
    elif settings.data.height == 14:  # To scale all of MNIST takes long, and no pixel is read.
        splits = {
            split: dataclasses.replace(part, inputs=part.inputs[:, ::2, ::2])
            for split, part in mnist.splits.items()
        }
        dataset = dataclasses.replace(mnist, input_shape=(14, 14, 1), splits=splits)
    else:
        dataset = load_dataset(settings)
    text = "\n".join(explanation(settings, dataset))
    for part in ("arrays on their way", "logits", "FLOPs per example"):
        assert part in text


def test_memory_and_the_whole_text(small_config: ConfigDict) -> None:
    settings = validate(small_config)
    lines = list(explanation(settings, load_dataset(settings)))
    assert (
        lines[0]
        == "mnist: 59,000 train, 1,000 validation, 10,000 test; 10 classes; in memory, 52.6 MiB"
    )
    (examples,) = (line for line in lines if "training examples" in line)
    assert examples.split()[-2:] == [f"{59_000 * 788 / 2**20:.1f}", "MiB"]  # 784 bytes, a label.
    total = 28 * 64 + 16 * 64 + 64 + 16 * 10 + 10
    assert any(line.split() == ["total", f"{total:,}"] for line in lines)


def test_memory_of_clips(small_config: ConfigDict) -> None:
    module = importlib.import_module("configs.frame_lstm")
    config = module.get_config()
    config.data.dir, config.data.cache_dir = small_config.data.dir, small_config.data.cache_dir
    config.data.batch_size, config.model.cnn_channels = 4, (2,)
    settings = validate(config)
    text = "\n".join(explanation(settings, load_dataset(settings)))
    assert "temporary arrays" in text


class OverTheBatch(nn.Module):
    """The mistake: its loop runs over axis 0, the batch."""

    reverse: bool = False

    @nn.compact
    def __call__(self, images: Any, lengths: Any = None, *, train: bool = False) -> Any:
        sums = jax.lax.cumsum(images.reshape(len(images), -1), axis=0, reverse=self.reverse)
        return nn.Dense(3)(sums)


class TimeFirst(nn.Module):
    """Another one: what it returns has time for its first axis."""

    @nn.compact
    def __call__(self, images: Any, lengths: Any = None, *, train: bool = False) -> Any:
        return nn.Dense(3)(images[..., 0].swapaxes(0, 1).mean(axis=-1))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (OverTheBatch(), "changes"),
        (OverTheBatch(reverse=True), "changes"),
        (TimeFirst(), "it has 4 outputs"),
    ],
)
def test_a_mix_up_of_batch_and_time_is_refused_in_words(model: nn.Module, words: str) -> None:
    with pytest.raises(UserError, match="mixes up batch and time") as error:
        check_axes(model, (4, 5, 1))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
