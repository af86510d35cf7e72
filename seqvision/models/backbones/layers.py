"""Layers of the pretrained backbones: a convolution with fixed batch statistics, and its parts."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from seqvision.shapes import FeatureMaps, Images

EPSILON = 1e-5
"""Added to every variance; files of networks with another one are converted (`weights`)."""
_FEW_CHANNELS = 16

Padding = tuple[tuple[int, int], tuple[int, int]]
Activation = Callable[[Array], Array]


def hard_swish(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """x relu6(x + 3) / 6 (Howard et al., 2019), as torch.nn.Hardswish."""
    return values * hard_sigmoid(values)


def hard_sigmoid(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """relu6(x + 3) / 6, as torch.nn.Hardsigmoid."""
    return jnp.clip(values + 3.0, 0.0, 6.0) / 6.0


def relu6(values: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.clip(values, 0.0, 6.0)


ACTIVATIONS: dict[str, Activation] = {
    "none": lambda values: values,
    "relu": nn.relu,
    "relu6": relu6,
    "hard_swish": hard_swish,
}


def padding_of(size: int, kernel_size: int, stride: int, like_tensorflow: bool) -> tuple[int, int]:
    """What is put before and behind an axis: alike as in PyTorch, or as `SAME` of TensorFlow."""
    if not like_tensorflow:
        return kernel_size // 2, kernel_size // 2
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation by fixed statistics, activation.

    The normalisation is multiplied into the kernel, so that it costs nothing. Gradients reach
    `kernel`, `scale` and `bias`; `mean` and `var` never change.

    Attributes:
      channels: of its output.
      kernel_size, stride: of the convolution.
      activation: a name in `ACTIVATIONS`.
      depthwise: each channel has a kernel of its own.
      like_tensorflow: see `padding_of`.
      dtype: precision of the convolution.
    """

    channels: int
    kernel_size: int = 1
    stride: int = 1
    activation: str = "none"
    depthwise: bool = False
    like_tensorflow: bool = False
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, maps: Images) -> FeatureMaps:
        """(B, height, width, C) to (B, height / stride, width / stride, channels)."""
        size, inputs = self.kernel_size, 1 if self.depthwise else maps.shape[-1]
        normal = nn.initializers.he_normal()
        kernel = self.param("kernel", normal, (size, size, inputs, self.channels))
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        scale = self.param("scale", ones, (self.channels,))
        bias = self.param("bias", zeros, (self.channels,))
        mean = jax.lax.stop_gradient(self.param("mean", zeros, (self.channels,)))
        var = jax.lax.stop_gradient(self.param("var", ones, (self.channels,)))
        gain = scale * jax.lax.rsqrt(var + EPSILON)
        offset = bias - mean * gain
        kernel = kernel * gain[None, None, None]
        maps, kernel = nn.dtypes.promote_dtype(maps, kernel, dtype=self.dtype)
        padding = tuple(
            padding_of(side, size, self.stride, self.like_tensorflow) for side in maps.shape[1:3]
        )
        maps = convolve(maps, kernel, self.stride, padding, self.depthwise)  # type: ignore[arg-type]
        maps = maps + offset.astype(maps.dtype)[None, None, None]
        return ACTIVATIONS[self.activation](maps)


class SqueezeExcite(nn.Module):
    """Weighs the channels by what their means say (Hu et al., 2018), with a hard sigmoid.

    Attributes:
      channels: between the two layers.
      dtype: precision of the products.
    """

    channels: int
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, maps: FeatureMaps) -> FeatureMaps:
        means = maps.mean(axis=(1, 2))
        squeezed = nn.relu(nn.Dense(self.channels, dtype=self.dtype, name="reduce")(means))
        gates = nn.Dense(maps.shape[-1], dtype=self.dtype, name="expand")(squeezed)
        return maps * hard_sigmoid(gates)[:, None, None]


def convolve(
    maps: Images, kernel: Float[Array, "..."], stride: int, padding: Padding, depthwise: bool
) -> FeatureMaps:
    """Maps (B, height, width, C) convolved with (size, size, C or 1, channels), in any place.

    XLA's own convolution is slow on CPU where it is depthwise, and so are the gradients of all in
    the loop over training steps; these are written as sums and as matrix products.
    """
    if jax.default_backend() != "cpu":
        return _of_xla(maps, kernel, stride, padding, kernel.shape[3] if depthwise else 1)
    if depthwise:
        return _depthwise(maps, kernel, stride, padding)
    if kernel.shape[0] == 1 or maps.dtype != jnp.float32:
        return _dense(maps, kernel, stride, padding)
    return _fast_forward(maps, kernel, stride, padding)


def _of_xla(
    maps: Images, kernel: Any, stride: int, padding: Padding, groups: int = 1
) -> FeatureMaps:
    return jax.lax.conv_general_dilated(
        maps,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _fast_forward(maps: Images, kernel: Any, stride: int, padding: Padding) -> FeatureMaps:
    """By XLA, with the gradients of `_dense`."""
    return _of_xla(maps, kernel, stride, padding)


def _forward(maps: Images, kernel: Any, stride: int, padding: Padding) -> tuple[Any, Any]:
    return _of_xla(maps, kernel, stride, padding), (maps, kernel)


def _backward(stride: int, padding: Padding, kept: Any, gradient: FeatureMaps) -> Any:
    _, pull_back = jax.vjp(lambda maps, kernel: _dense(maps, kernel, stride, padding), *kept)
    return pull_back(gradient)


_fast_forward.defvjp(_forward, _backward)


def _shifted(maps: Images, size: int, stride: int, padding: Padding) -> list[Array]:
    """Of each number of a kernel, row by row, what it meets: (B, new height, new width, C)."""
    padded = jnp.pad(maps, ((0, 0), *padding, (0, 0))) if size > 1 else maps
    height, width = ((side - size) // stride + 1 for side in padded.shape[1:3])
    return [
        padded[
            :, down : down + stride * (height - 1) + 1 : stride,
            right : right + stride * (width - 1) + 1 : stride,
        ]
        for down in range(size)
        for right in range(size)
    ]  # fmt: skip


def _depthwise(maps: Images, kernel: Any, stride: int, padding: Padding) -> FeatureMaps:
    size, channels = kernel.shape[0], kernel.shape[3]
    total: Any = 0.0
    weights = kernel.reshape(size * size, 1, 1, 1, channels)
    for part, weight in zip(_shifted(maps, size, stride, padding), weights, strict=True):
        total = part * weight + total
    return total


def _dense(maps: Images, kernel: Any, stride: int, padding: Padding) -> FeatureMaps:
    size, channels = kernel.shape[0], kernel.shape[2]
    parts = _shifted(maps, size, stride, padding)
    weights = kernel.reshape(size * size, channels, -1)
    if channels < _FEW_CHANNELS:  # Products of a few columns would be slow.
        parts, weights = [jnp.concatenate(parts, axis=-1)], weights.reshape(1, -1, kernel.shape[3])
    total: Any = 0.0
    for part, weight in zip(parts, weights, strict=True):
        total = part.reshape(-1, part.shape[-1]) @ weight + total
    return total.reshape(*parts[0].shape[:3], -1)
