"""The CNN without a border and with weights for each frame, against XLA's operators and numpy."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.models import create_model, create_reader
from seqvision.models.cnn import CNN, ConvBlock, block_at_once, block_in_groups, smallest_side
from seqvision.models.sequences import Frames
from seqvision.profiling.flops import count_flops
from seqvision.training.optimizer import is_kernel

SHAPES = [(11, 13, 3), (12, 15, 1)]


def noise(rng: np.random.Generator, shapes: Any) -> Any:
    """Biases are random too: at 0, a wrong place of theirs would not be seen."""
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), shapes)


def params_of(rng: np.random.Generator, module: Any, inputs: Any) -> Any:
    return noise(rng, jax.eval_shape(module.init, jax.random.key(0), inputs)["params"])


def plain(params: Any, images: Any) -> Any:
    """Convolution, ReLU, max-pool, as XLA has them and TensorFlow pads them."""
    padding = "VALID"
    for number in range(len(params)):
        conv = params[f"block_{number}"]["conv"]
        maps = jax.lax.conv_general_dilated(
            images, conv["kernel"], (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        maps = jnp.maximum(maps + conv["bias"][None, None, None], 0)
        window, lowest = (1, 2, 2, 1), -jnp.inf
        images = jax.lax.reduce_window(maps, lowest, jax.lax.max, window, window, padding)
    return images


def in_float64(params: Any, images: np.ndarray) -> np.ndarray:
    """The same with `VALID`, in numpy, pixel by pixel of the kernel."""
    maps = images.astype(np.float64)
    for number in range(len(params)):
        conv = jax.tree.map(np.float64, params[f"block_{number}"]["conv"])
        height, width = maps.shape[1] - 2, maps.shape[2] - 2
        sums = sum(
            maps[:, r : r + height, c : c + width] @ conv["kernel"][r, c]
            for r in range(3)
            for c in range(3)
        )
        maps = np.maximum(sums + conv["bias"], 0)[:, : height // 2 * 2, : width // 2 * 2]
        count, channels = len(maps), maps.shape[-1]
        maps = maps.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    return maps


def values_and_gradients(net: Any, params: Any, images: Any, weights: Any) -> Any:
    def loss(params: Any, images: Any) -> Any:
        maps = net(params, images)
        return (maps * weights).sum(), maps

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(params, images)


def assert_near(found: Any, expected: Any) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5 * np.abs(b).max()),
        found,
        expected,
    )


@pytest.fixture(params=["cpu", "gpu"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to compute a block, the one for accelerators too."""
    monkeypatch.setattr("seqvision.models.cnn.jax.default_backend", lambda: request.param)
    return str(request.param)


@pytest.mark.parametrize("shape", SHAPES)
def test_valid_equals_plain_operators(
    rng: np.random.Generator, backend: str, shape: tuple[int, ...]
) -> None:
    images = rng.uniform(size=(3, *shape)).astype(np.float32)
    cnn = CNN((4, 5), padding="valid")
    params = params_of(rng, cnn, images)
    expected = in_float64(params, images)
    weights = rng.normal(size=expected.shape).astype(np.float32)

    def net(params: Any, images: Any) -> Any:
        return cnn.apply({"params": params}, images)

    found = values_and_gradients(net, params, images, weights)
    np.testing.assert_allclose(found[0][1], expected, rtol=1e-4, atol=1e-5)
    assert_near(found[1], values_and_gradients(plain, params, images, weights)[1])


def test_sizes_of_the_original_network() -> None:
    """28 -> 26 -> 13 -> 11 -> 5: 1600 features."""
    images = jax.ShapeDtypeStruct((2, 28, 28, 3), "float32")
    for channels, size in (((32,), 13), ((32, 64), 5)):
        maps, _ = jax.eval_shape(
            functools.partial(CNN(channels, padding="valid").init_with_output, jax.random.key(0)),
            images,
        )
        assert maps.shape == (2, size, size, channels[-1])


@pytest.mark.parametrize("num_blocks", [1, 2, 3])
def test_what_is_too_small_for_valid_is_named(num_blocks: int) -> None:
    cnn, least = CNN((2,) * num_blocks, padding="valid"), smallest_side(num_blocks)

    def init(height: int, width: int) -> Any:
        images = jax.ShapeDtypeStruct((1, height, width, 1), "float32")
        return jax.eval_shape(functools.partial(cnn.init_with_output, jax.random.key(0)), images)

    assert init(least, least)[0].shape == (1, 1, 1, 2)
    for height, width in ((least - 1, least), (least, least - 1)):
        with pytest.raises(ValueError, match=f"of {height}x{width}; .* need {least}x{least} at l"):
            init(height, width)
    with pytest.raises(ValueError, match="padding 'full' is not known; choose one of same, valid"):
        CNN((2,), padding="full").init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))


def test_each_frame_has_its_own_cnn(rng: np.random.Generator, backend: str) -> None:
    clips = rng.uniform(size=(2, 3, 11, 10, 2)).astype(np.float32)
    maker = Frames(cnn_channels=(4, 5), cnn_padding="valid", cnn_per_frame=True)
    params = params_of(rng, maker, clips)["cnn"]
    assert params["block_1"]["conv"]["kernel"].shape == (3, 3, 3, 4, 5)
    assert params["block_1"]["conv"]["bias"].shape == (3, 5)

    def net(params: Any, clips: Any) -> Any:
        return maker.apply({"params": {"cnn": params}}, clips)

    def one_by_one(params: Any, clips: Any) -> Any:
        frames = [
            plain(jax.tree.map(lambda array, t=t: array[t], params), clips[:, t]) for t in range(3)
        ]
        return jnp.stack([maps.reshape(2, -1) for maps in frames], axis=1)

    weights = rng.normal(size=jax.eval_shape(net, params, clips).shape).astype(np.float32)
    found = values_and_gradients(net, params, clips, weights)
    assert_near(found, values_and_gradients(one_by_one, params, clips, weights))


def test_each_frame_starts_as_a_cnn_alone_would() -> None:
    """Fans in are those of one frame, and no two frames start alike."""
    clips = jnp.zeros((1, 4, 8, 8, 16))
    init = jax.jit(Frames(cnn_channels=(64,), cnn_per_frame=True).init)
    kernel = np.asarray(
        init(jax.random.key(0), clips)["params"]["cnn"]["block_0"]["conv"]["kernel"]
    )
    np.testing.assert_allclose(kernel.std(axis=(1, 2, 3, 4)), (9 * 16) ** -0.5, rtol=0.03)
    assert len({frame.tobytes() for frame in kernel}) == 4


def test_flops_of_valid_and_of_each_frame(backend: str) -> None:
    """A frame's own weights cost nothing more; without a border, less is computed."""

    def flops(padding: str, per_frame: bool) -> int:
        block = ConvBlock(8, padding=padding, per_frame=per_frame)
        images = jnp.zeros((5, 4, 11, 9, 3)) if per_frame else jnp.zeros((20, 11, 9, 3))
        params = jax.eval_shape(block.init, jax.random.key(0), images)
        return count_flops(block.apply, params, images)

    for padding, pixels in (("same", 11 * 9), ("valid", 8 * 6)):
        assert flops(padding, False) == flops(padding, True) == 20 * pixels * 2 * 9 * 3 * 8


def test_weights_of_each_frame_decay_and_biases_do_not() -> None:
    model = create_model(num_classes=3, sequence="frames", cnn_channels=(2,), cnn_per_frame=True)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 6, 6, 1)))["params"]
    decays = is_kernel(shapes)
    assert decays["sequence"]["cnn"]["block_0"]["conv"] == {"kernel": True, "bias": False}
    assert decays["classifier"] == {"kernel": True, "bias": False}
    assert decays["recurrent"]["layer_0"]["cell"]["recurrent_kernel"]


def test_both_ways_in_bfloat16(rng: np.random.Generator) -> None:
    """Multiples of 1/8 whose sums bfloat16 holds exactly."""
    images, kernel, bias = (
        jnp.asarray(rng.integers(-2, 3, shape) / 8, jnp.bfloat16)
        for shape in ((8, 6, 8, 2), (3, 3, 2, 4), (4,))
    )
    ways = [
        jax.jit(functools.partial(way, padding="valid"))(images, kernel, bias)
        for way in (block_at_once, block_in_groups)
    ]
    assert ways[0].shape == (8, 2, 3, 4) and ways[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(*(way.astype(np.float32) for way in ways))


def test_readers_have_no_such_options() -> None:
    for option in ({"cnn_padding": "valid"}, {"cnn_per_frame": True}):
        with pytest.raises(TypeError):
            create_reader(num_classes=3, **option)
