"""Pretrained backbones: features as torchvision and timm compute them, and files of weights."""

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from seqvision.errors import UserError
from seqvision.models.backbones import (
    BACKBONES,
    TRAINABLE,
    Architecture,
    Backbone,
    first_trained,
    is_frozen,
)
from seqvision.models.backbones.inverted import Block, InvertedNet
from seqvision.models.backbones.layers import convolve
from seqvision.models.backbones.names import Naming, namings
from seqvision.models.backbones.network import BackboneNetwork
from seqvision.models.backbones.weights import digest_of, load_backbone, save_backbone, shapes_of
from seqvision.models.parameters import named_leaves
from tests.data.weights.make_backbones import FILE, KEPT, images, weights

# A program is compiled for each network. That of ResNet-50 takes longest: its figures are in the
# file too, and passed; add "resnet50 torchvision" to compare them again.
CASES = ("resnet18 torchvision", "mobilenet_v3_small torchvision", "mobilenet_v3_small timm",
         "efficientnet_lite0 timm", "tf_efficientnet_lite0 timm",
         "tf_efficientnet_lite0 EfficientNet-PyTorch")  # fmt: skip


@functools.cache
def compiled(network: str) -> Any:
    return jax.jit(lambda params, inputs: Backbone(network).apply({"params": params}, inputs))


def naming_of(network: str, library: str) -> Naming:
    return next(one for one in namings(network) if one.library.startswith(library))


@functools.cache
def state_dict(network: str, library: str) -> dict[str, np.ndarray]:
    """A state_dict with made weights, of the names that the library has."""
    shapes = shapes_of(network)
    found = {}
    for ours, (main, norm) in naming_of(network, library).layers.items():
        kernel = shapes[f"network/{ours}/kernel"]
        kernel = (*kernel[::-1], 1, 1) if len(kernel) == 2 else (*kernel[:1:-1], *kernel[:2])
        names = {f"{main}.weight": kernel}
        parts = ("weight", "bias", "running_mean", "running_var") if norm else ("bias",)
        channels = shapes[f"network/{ours}/bias"]
        names |= {f"{norm or main}.{part}": channels for part in parts}
        found |= {name: weights(name, shape) for name, shape in names.items()}
    return found


def saved(path: Path, network: str, library: str, **changed: Any) -> Path:
    arrays = state_dict(network, library) | changed
    save_file({name: array for name, array in arrays.items() if array is not None}, path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_features_are_those_of_the_original(case: str, tmp_path: Path) -> None:
    network, library = case.split(" ")
    params = load_backbone(saved(tmp_path / "w.safetensors", network, library), network)
    features = np.asarray(compiled(network)(params, jnp.asarray(images())))
    assert features.shape == (2, BACKBONES[network].num_features)
    expected = np.load(FILE)[case]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(features[:, ::KEPT] / scale, expected / scale, atol=1e-5)


class Tiny(BackboneNetwork):
    """Its maps are its inputs."""

    @nn.compact
    def __call__(self, images: Any) -> Any:
        return images


def test_inputs_are_normalised_and_grey_is_three_equal_channels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BACKBONES, "tiny", Architecture(Tiny, 3, 1))
    colours = jnp.asarray(images())
    params = {"mean": jnp.array([0.5, 0.4, 0.3]), "std": jnp.array([0.5, 0.25, 2.0])}
    for inputs in (colours, colours[..., :1]):
        found = Backbone("tiny").apply({"params": params}, inputs)
        means = np.asarray(inputs, np.float64).mean(axis=(1, 2))
        expected = (means - [0.5, 0.4, 0.3]) / [0.5, 0.25, 2.0]
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)


@pytest.mark.parametrize(("case", "words"), [
    ("another network", ("resnet18, and config.model.backbone is resnet50",
                         "set config.model.backbone=resnet18")),
    ("missing", ("layer1.0.bn1.running_var is missing", "save the whole state_dict")),
    ("shape", ("layer1.0.conv1.weight has the shape (3, 3, 64, 32)", "(3, 3, 64, 64)")),
    ("not finite", ("bn1.bias has values that are not finite",)),
    ("no network", ("no layer of resnet18 is in it; it has a, b",)),
])  # fmt: skip
def test_refused_in_one_line(case: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path, asked = tmp_path / "w.safetensors", "resnet18"
    changed: dict[str, Any] = {
        "missing": {"layer1.0.bn1.running_var": None},
        "shape": {"layer1.0.conv1.weight": np.zeros((32, 64, 3, 3), np.float32)},
        "not finite": {"bn1.bias": np.full(64, np.nan, np.float32)},
    }.get(case, {})
    saved(path, "resnet18", "torchvision", **changed)
    if case == "another network":
        asked = "resnet50"
    if case == "no network":
        save_file({"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}, path)
    with pytest.raises(UserError) as refusal:
        load_backbone(path, asked)
    line = str(refusal.value)
    assert "\n" not in line and str(path) in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("kind", ["empty", "a page of the web (HTML)", "a folder", "of no known"])
def test_what_is_no_file_of_weights_names_what_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if kind == "a folder":
        path.mkdir()
    else:
        path.write_text({"e": "", "a": "\n<!DOCTYPE html><p>404", "o": "version 1"}[kind[0]])
    with pytest.raises(UserError) as refusal:
        load_backbone(path, "resnet18")
    for word in (kind, "config.model.backbone_weights takes", ".safetensors, .pth"):
        assert word in str(refusal.value)
    assert "Keras" not in str(refusal.value)


def test_kept_parameters_are_the_same_bits(tmp_path: Path) -> None:
    source = saved(tmp_path / "w.safetensors", "mobilenet_v3_small", "torchvision")
    params = load_backbone(source, "mobilenet_v3_small")
    save_backbone(tmp_path / "b.npz", params)
    assert digest_of(load_backbone(tmp_path / "b.npz", "mobilenet_v3_small")) == digest_of(params)
    (tmp_path / "b.npz").write_bytes((tmp_path / "b.npz").read_bytes()[:-1000])
    with pytest.raises(UserError, match="damaged"):
        load_backbone(tmp_path / "b.npz", "mobilenet_v3_small")


def test_gradients_reach_the_stages_that_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = tuple(Block(stage, 3, 1, 8, 4, 0, "relu6") for stage in (1, 2, 2))
    create = functools.partial(InvertedNet, blocks=blocks, stem=4, head=6)
    monkeypatch.setitem(BACKBONES, "tiny", Architecture(create, 6, 3))
    inputs = jnp.asarray(images()[:, :8, :8])
    params = jax.jit(Backbone("tiny").init)(jax.random.key(0), inputs)["params"]

    @jax.jit
    @jax.grad
    def gradients(params: Any) -> Any:
        return (Backbone("tiny", "last_stage").apply({"params": params}, inputs) ** 2).sum()

    last = ("network/head", "network/block_1/", "network/block_2/")
    for leaf, gradient in named_leaves(gradients(params)):
        is_fixed = leaf.rpartition("/")[2] in ("mean", "var", "std")
        frozen = is_fixed or not leaf.startswith(last)
        assert is_frozen("tiny", "last_stage", leaf) == frozen
        assert bool(np.any(gradient)) != frozen, leaf
        assert is_frozen("tiny", "all", leaf) == is_fixed


def test_stages() -> None:
    for name, one in BACKBONES.items():
        assert first_trained(name, "all") == 0
        for trainable, count in TRAINABLE.items():
            assert first_trained(name, trainable) == one.num_stages - count


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, (1, 1)), (7, 2, (2, 3))])
def test_convolutions_and_their_gradients_are_those_of_xla(
    size: int, stride: int, padding: tuple[int, int], rng: np.random.Generator
) -> None:
    maps = jnp.asarray(rng.normal(size=(2, 9, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(size, size, 3, 4)), jnp.float32)
    paddings = padding, padding

    def loss(way: str, maps: Any, kernel: Any) -> Any:
        if way == "ours":
            return (convolve(maps, kernel, stride, paddings, depthwise=False) ** 2).sum()
        order = ("NHWC", "HWIO", "NHWC")
        found = jax.lax.conv_general_dilated(
            maps, kernel, (stride, stride), paddings, dimension_numbers=order
        )
        return (found**2).sum()

    ours, theirs = (
        jax.jit(jax.value_and_grad(functools.partial(loss, way), argnums=(0, 1)))(maps, kernel)
        for way in ("ours", "xla")
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
