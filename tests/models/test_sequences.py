"""Sequence makers against loops over pixels, the CNN against Flax's, readouts against numpy."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models import SEQUENCES, create_model, create_sequence
from seqvision.models.cnn import (
    CNN,
    as_convolution,
    as_product,
    block_at_once,
    block_in_groups,
    max_pool,
)
from seqvision.models.readouts import Readout
from seqvision.models.sequences import Frames

SHAPES = [(4, 6, 1), (6, 4, 3), (2, 2, 2), (1, 8, 1), (5, 3, 3)]


def images_of(rng: np.random.Generator, shape: tuple[int, ...], count: int = 2) -> jax.Array:
    return jnp.asarray(rng.uniform(size=(count, *shape)), jnp.float32)


def steps_of(name: str, image: np.ndarray) -> list[np.ndarray]:
    """The time steps of one image (height, width, channels), pixel by pixel."""
    height, width, _ = image.shape
    pixels = [image[row, column] for row in range(height) for column in range(width)]
    match name:
        case "rows":
            return [np.concatenate([image[row, c] for c in range(width)]) for row in range(height)]
        case "columns":
            return [
                np.concatenate([image[r, column] for r in range(height)]) for column in range(width)
            ]
        case "pixels":
            return pixels
        case "permuted_pixels":
            return [pixels[number] for number in np.random.RandomState(0).permutation(len(pixels))]
    size = 2
    return [
        np.concatenate([image[top + r, left + c] for r in range(size) for c in range(size)])
        for top in range(0, height, size)
        for left in range(0, width, size)
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["rows", "columns", "pixels", "permuted_pixels", "patches"])
def test_sequences_equal_a_loop_over_pixels(
    rng: np.random.Generator, name: str, shape: tuple[int, ...]
) -> None:
    images = images_of(rng, shape)
    maker = create_sequence(name, patch_size=2)
    if name == "patches" and (shape[0] % 2 or shape[1] % 2):
        with pytest.raises(ValueError, match=f"do not tile an image of {shape[0]}x{shape[1]}"):
            maker.apply({}, images)
        return
    expected = [np.stack(steps_of(name, image)) for image in np.asarray(images)]
    np.testing.assert_array_equal(maker.apply({}, images), expected)


def test_the_permutation_is_the_same_for_ever() -> None:
    ramp = jnp.arange(16, dtype=jnp.float32).reshape(1, 4, 4, 1)
    order = create_sequence("permuted_pixels").apply({}, ramp)[0, :, 0]
    # numpy 1.26 and 2.4 alike.
    np.testing.assert_array_equal(order, [1, 6, 8, 9, 13, 4, 2, 14, 10, 7, 15, 11, 3, 0, 5, 12])


def flax_cnn(params: Any, images: Any) -> Any:
    """The same network of Flax's own layers."""
    for number in range(len(params)):
        kernel = params[f"block_{number}"]["conv"]
        layer = nn.Conv(kernel["bias"].shape[0], (3, 3))
        images = nn.relu(layer.apply({"params": kernel}, images))
        images = nn.max_pool(images, (2, 2), (2, 2), "SAME")
    return images


@pytest.mark.parametrize("shape", [(4, 6, 1), (1, 1, 1), (9, 7, 3)])
def test_cnn_equals_flax(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    images = images_of(rng, shape, 3)
    cnn = CNN((4, 5))
    params = jax.jit(cnn.init)(jax.random.key(0), images)["params"]
    params = jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape).astype(np.float32), params)

    def with_gradients(net: Any) -> Any:
        def loss(params: Any, images: Any) -> Any:
            return (net(params, images) ** 2).sum()

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(params, images)

    found = with_gradients(lambda params, images: cnn.apply({"params": params}, images))
    expected = with_gradients(flax_cnn)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5), found, expected
    )


def test_both_ways_to_convolve_agree(rng: np.random.Generator) -> None:
    images = images_of(rng, (5, 4, 3))
    kernel = jnp.asarray(rng.normal(size=(3, 3, 3, 2)), jnp.float32)
    ways = [way(images, kernel) for way in (as_product, as_convolution)]
    np.testing.assert_allclose(*ways, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 5, 3, 1), (7, 4, 5, 3), (8, 1, 6, 2)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_block_is_the_same_in_groups_and_as_flax_has_it(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: Any
) -> None:
    # Multiples of 1/8 whose sums bfloat16 holds exactly: both types have to give the same.
    def eighths(*shape: int) -> jax.Array:
        return jnp.asarray(rng.integers(-2, 3, shape) / 8, dtype)

    arguments = eighths(*shape), eighths(3, 3, shape[-1], 4), eighths(4) + jnp.asarray(0.1, dtype)

    def flax_block(images: Any, kernel: Any, bias: Any) -> Any:
        layer = nn.Conv(4, (3, 3), dtype=dtype)
        products = layer.apply({"params": {"kernel": kernel, "bias": bias}}, images)
        return nn.max_pool(nn.relu(products), (2, 2), (2, 2), "SAME")

    values = [jax.jit(way)(*arguments) for way in (block_in_groups, block_at_once, flax_block)]
    tolerance = 1e-6 if dtype == jnp.float32 else 1e-2
    for value in values:
        assert value.dtype == dtype
        np.testing.assert_allclose(
            value.astype(np.float32), values[-1].astype(np.float32), atol=tolerance
        )

    def loss(way: Any, *arguments: Any) -> Any:
        return (way(*arguments).astype(jnp.float32) ** 2).sum()

    ways = [
        jax.grad(functools.partial(loss, way), (0, 1, 2))
        for way in (block_in_groups, block_at_once)
    ]
    for found, expected in zip(*(jax.jit(way)(*arguments) for way in ways), strict=True):
        scale = np.abs(np.asarray(expected, np.float32)).max()
        np.testing.assert_allclose(
            found.astype(np.float32), expected.astype(np.float32), atol=20 * tolerance * scale
        )


def test_equal_pixels_share_the_gradient_of_the_pool() -> None:
    images = jnp.asarray([[1.0, 3.0, 2.0], [3.0, 3.0, 2.0], [0.0, 0.0, 5.0]]).reshape(1, 3, 3, 1)
    weights = jnp.asarray([[3.0, 4.0], [6.0, 7.0]]).reshape(1, 2, 2, 1)
    found = jax.grad(lambda images: (max_pool(images) * weights).sum())(images)
    expected = [[0.0, 1.0, 2.0], [1.0, 1.0, 2.0], [3.0, 3.0, 7.0]]
    np.testing.assert_allclose(found[0, :, :, 0], expected, rtol=1e-6)


def test_an_odd_row_stands_alone_in_the_pool() -> None:
    images = -jnp.arange(1.0, 7.0).reshape(1, 3, 2, 1)
    np.testing.assert_array_equal(max_pool(images)[0, :, :, 0], [[-1], [-5]])


def test_frames_share_one_cnn(rng: np.random.Generator) -> None:
    clips = images_of(rng, (3, 6, 4, 3))
    maker = Frames(cnn_channels=(4, 5))
    params = maker.init(jax.random.key(0), clips)
    found = maker.apply(params, clips)
    for frame in range(3):
        alone = CNN((4, 5)).apply({"params": params["params"]["cnn"]}, clips[:, frame])
        np.testing.assert_allclose(found[:, frame], alone.reshape(2, -1), atol=1e-5)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("shape", [(4, 6, 1), (6, 4, 3)])
def test_every_architecture_reads_every_shape(name: str, shape: tuple[int, ...]) -> None:
    model = create_model(
        num_classes=3, sequence=name, patch_size=2, cnn_channels=(2,), hidden_size=4
    )
    of_clips = name in ("frames", "features")
    inputs = jnp.zeros((2, 5, *shape) if of_clips else (2, *shape))
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    assert jax.eval_shape(model.apply, variables, inputs).shape == (2, 3)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="choose one of rows, columns"):
        create_sequence("diagonals")
    readout = Readout("median")
    with pytest.raises(ValueError, match="choose one of last, mean"):
        readout.init(jax.random.key(0), jnp.zeros((1, 2, 3)), jnp.zeros((1, 3)))


# --- readouts ---


@pytest.mark.parametrize("kind", ["mean", "max", "attention"])
def test_readouts_equal_numpy_and_ignore_padding(rng: np.random.Generator, kind: str) -> None:
    outputs = images_of(rng, (5, 3), 4) - 0.5
    lengths = jnp.array([5, 2, 1, 0], jnp.int32)
    readout = Readout(kind)
    params = readout.init(jax.random.key(0), outputs, outputs[:, 0])
    found = np.asarray(readout.apply(params, outputs, outputs[:, 0], lengths))
    for example, length in enumerate(lengths):
        real = np.float64(outputs[example, : int(length)])
        if length == 0:
            expected = np.zeros(3)
        elif kind == "mean":
            expected = real.mean(axis=0)
        elif kind == "max":
            expected = real.max(axis=0)
        else:
            weights = jax.tree.map(np.float64, params["params"])
            hidden = np.tanh(real @ weights["hidden"]["kernel"] + weights["hidden"]["bias"])
            scores = hidden @ weights["score"]["kernel"]
            weights = np.exp(scores) / np.exp(scores).sum()
            expected = (weights * real).sum(axis=0)
        np.testing.assert_allclose(found[example], expected, atol=1e-5)
    outputs = outputs.at[1, 2:].set(1e3).at[2, 1:].set(-1e3)
    changed = readout.apply(params, outputs, outputs[:, 0], lengths)
    np.testing.assert_array_equal(changed, found)


@pytest.mark.parametrize("readout", ["last", "mean", "max", "attention", "per_step"])
def test_padded_frames_change_nothing(rng: np.random.Generator, readout: str) -> None:
    """Logits and gradients of short clips in a long batch equal those of the clips alone."""
    model = create_model(
        num_classes=3,
        sequence="frames",
        cnn_channels=(2,),
        hidden_size=4,
        bidirectional=True,
        readout=readout,
    )
    clips = images_of(rng, (5, 4, 4, 1))
    lengths = jnp.array([3, 5], jnp.int32)
    params = jax.jit(model.init)(jax.random.key(0), clips, lengths)

    def loss(params: Any, clips: Any, lengths: Any) -> Any:
        logits = model.apply(params, clips, lengths)
        first = logits[0] if logits.ndim == 2 else logits[0, 2]
        return (first**2).sum(), first

    grad = jax.jit(jax.grad(loss, has_aux=True))
    grads, logits = grad(params, clips, lengths)
    alone_grads, alone = grad(params, clips[:1, :3], lengths[:1])
    np.testing.assert_allclose(logits, alone, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), grads, alone_grads)
