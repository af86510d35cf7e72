"""Pretrained backbones: features as torchvision and timm compute them, and files of weights."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from seqvision.errors import UserError
from seqvision.models.backbones import BACKBONES, TRAINABLE, Backbone, first_trained, is_frozen
from seqvision.models.backbones.names import Naming, namings
from seqvision.models.backbones.weights import digest_of, load_backbone, save_backbone
from seqvision.models.parameters import named_leaves
from tests.data.weights.make_backbones import FILE, KEPT, images, weights

CASES = ("resnet18 torchvision", "resnet50 torchvision", "mobilenet_v3_small torchvision",
         "mobilenet_v3_small timm", "efficientnet_lite0 timm", "tf_efficientnet_lite0 timm",
         "tf_efficientnet_lite0 EfficientNet-PyTorch")  # fmt: skip


def naming_of(network: str, library: str) -> Naming:
    return next(one for one in namings(network) if one.library.startswith(library))


def state_dict(network: str, library: str) -> dict[str, np.ndarray]:
    """A state_dict with made weights, of the names that the library has."""
    shape = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    shapes: Any = jax.eval_shape(Backbone(network).init, jax.random.key(0), shape)
    found = {}
    for ours, (main, norm) in naming_of(network, library).layers.items():
        place = shapes["params"]["network"]
        for part in ours.split("/"):
            place = place[part]
        kernel = place["kernel"].shape
        kernel = (*kernel[::-1], 1, 1) if len(kernel) == 2 else (*kernel[:1:-1], *kernel[:2])
        names = {f"{main}.weight": kernel}
        parts = ("weight", "bias", "running_mean", "running_var") if norm else ("bias",)
        channels = place["bias"].shape
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
    apply = jax.jit(lambda inputs: Backbone(network).apply({"params": params}, inputs))
    features = np.asarray(apply(images()))
    assert features.shape == (2, BACKBONES[network].num_features)
    expected = np.load(FILE)[case]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(features[:, ::KEPT] / scale, expected / scale, atol=1e-5)


def test_grey_is_three_equal_channels() -> None:
    grey = images()[..., :1]
    network = Backbone("mobilenet_v3_small")
    variables = jax.jit(network.init)(jax.random.key(0), grey)
    apply = jax.jit(network.apply)
    np.testing.assert_array_equal(apply(variables, grey), apply(variables, grey.repeat(3, -1)))


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


def test_kept_parameters_are_the_same_bits(tmp_path: Path) -> None:
    source = saved(tmp_path / "w.safetensors", "mobilenet_v3_small", "torchvision")
    params = load_backbone(source, "mobilenet_v3_small")
    save_backbone(tmp_path / "b.npz", params)
    assert digest_of(load_backbone(tmp_path / "b.npz", "mobilenet_v3_small")) == digest_of(params)
    (tmp_path / "b.npz").write_bytes((tmp_path / "b.npz").read_bytes()[:-1000])
    with pytest.raises(UserError, match="damaged"):
        load_backbone(tmp_path / "b.npz", "mobilenet_v3_small")


@pytest.mark.parametrize("trainable", ["last_stage", "all"])
def test_gradients_reach_the_stages_that_learn(trainable: str) -> None:
    name = "mobilenet_v3_small"
    network, inputs = Backbone(name, trainable), images()[:1, :32, :32]
    params = jax.jit(network.init)(jax.random.key(0), inputs)["params"]

    def loss(params: Any) -> Any:
        return (network.apply({"params": params}, inputs) ** 2).sum()

    moved = {
        leaf: bool(np.any(grad)) for leaf, grad in named_leaves(jax.jit(jax.grad(loss))(params))
    }
    assert {leaf for leaf in moved if is_frozen(name, trainable, leaf)} == {
        leaf for leaf in moved
        if leaf.rpartition("/")[2] in ("mean", "var", "std")
        or (trainable == "last_stage" and not leaf.startswith(
            ("network/head", "network/block_8", "network/block_9", "network/block_10")))
    }  # fmt: skip
    for leaf, did in moved.items():
        assert did != is_frozen(name, trainable, leaf) or "squeeze" in leaf


def test_stages() -> None:
    for name, one in BACKBONES.items():
        assert first_trained(name, "all") == 0
        for trainable, count in TRAINABLE.items():
            assert first_trained(name, trainable) == one.num_stages - count
