"""Pretrained networks whose features a recurrent network reads: images to (B, D)."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from seqvision.models.backbones.inverted import SMALL_BLOCKS, InvertedNet
from seqvision.models.backbones.network import BackboneNetwork
from seqvision.models.backbones.resnet import ResNet
from seqvision.shapes import FeatureMaps, Features, Images

_GROUP_SIZE = 4
LEAST_SIDE = 32
"""Pixels of the smallest frames: each stage halves them."""
TRAINABLE = {"none": 0, "last_stage": 1, "last_two_stages": 2}
"""How many of the last stages learn; with `all`, all of them."""


class Architecture(NamedTuple):
    """A backbone: what it is made by, its features D, its stages with the stem."""

    create: Callable[..., BackboneNetwork]
    num_features: int
    num_stages: int


BACKBONES = {
    "efficientnet_lite0": Architecture(InvertedNet, 1280, 8),
    "tf_efficientnet_lite0": Architecture(
        functools.partial(InvertedNet, like_tensorflow=True), 1280, 8
    ),
    "resnet18": Architecture(ResNet, 512, 5),
    "resnet50": Architecture(
        functools.partial(ResNet, sizes=(3, 4, 6, 3), bottleneck=True), 2048, 5
    ),
    "mobilenet_v3_small": Architecture(
        functools.partial(
            InvertedNet, blocks=SMALL_BLOCKS, stem=16, head=576, activation="hard_swish"
        ),
        576,
        5,
    ),
}


class Backbone(nn.Module):
    """Normalises images, applies a pretrained network, and takes the mean of its feature maps.

    Attributes:
      name_of_network: a name in `BACKBONES`.
      trainable: `all`, or a name in `TRAINABLE`: which stages gradients reach.
      dtype: precision of the convolutions; features are float32.
    """

    name_of_network: str
    trainable: str = "none"
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> Features:
        """(B, height, width, 1 or 3) in [0, 1] to (B, D); grey is taken for three equal channels.

        `mean` and `std` (3,) are the normalisation that the network was trained with. They come
        with its weights and never change.
        """
        network = BACKBONES[self.name_of_network]
        mean = self.param("mean", nn.initializers.zeros, (3,))
        std = self.param("std", nn.initializers.ones, (3,))
        mean, std = jax.lax.stop_gradient((mean, std))
        if images.shape[-1] == 1:
            images = jnp.broadcast_to(images, (*images.shape[:-1], 3))
        images = (images - mean[None, None, None]) / std[None, None, None]
        first = first_trained(self.name_of_network, self.trainable)
        module = network.create(dtype=self.dtype, first_trained=first, name="network")

        in_groups = jax.default_backend() == "cpu" and isinstance(images.shape[0], int)
        if in_groups and not self.is_initializing():
            features = _in_groups(module.clone(parent=None), module.variables, images)
        else:
            features = _means(module(images))
        return jax.lax.stop_gradient(features) if self.trainable == "none" else features


def is_frozen(name: str, trainable: str, array: str) -> bool:
    """Whether an array of a backbone, such as `network/stem/kernel`, stays as it is."""
    *layers, part = array.split("/")
    if len(layers) < 2 or part in ("mean", "var"):
        return True
    return BACKBONES[name].create().stage_of(layers[1]) < first_trained(name, trainable)


def _means(maps: FeatureMaps) -> Features:
    return maps.astype(jnp.float32).mean(axis=(1, 2))


def _in_groups(network: BackboneNetwork, variables: Any, images: Images) -> Features:
    """The features of a few images at a time, whose maps stay in the cache of a core.

    The gradient computes the maps again rather than to keep them: those of a batch of clips would
    fill the memory.
    """

    def of_group(group: Images) -> Features:
        maps: Any = network.apply(variables, group)
        return _means(maps)

    size = math.gcd(len(images), _GROUP_SIZE)
    groups = images.reshape(-1, size, *images.shape[1:])
    features = jax.lax.map(jax.checkpoint(of_group, prevent_cse=False), groups)
    return features.reshape(len(images), -1)


def first_trained(name: str, trainable: str) -> int:
    """The first stage that learns: 0 is the stem, as many as there are stages for none."""
    if trainable == "all":
        return 0
    return BACKBONES[name].num_stages - TRAINABLE[trainable]
