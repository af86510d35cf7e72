"""Corruptions against plain Python loops, and where the steps of a network lie."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.data import corruptions
from seqvision.data.corruptions import STRENGTHS, TIME, chosen_corruptions
from seqvision.data.step_layout import StepLayout
from seqvision.errors import UserError
from seqvision.models.sequences import create_sequence
from tests.data import slow_corruptions as slow

T = 9
LENGTHS = np.tile(np.arange(1, T + 1, dtype=np.int32), 6)
AMOUNTS = np.repeat(np.array([0, 1, 111, 200, 500, 1000], np.int32), T)


@pytest.fixture
def words(rng: np.random.Generator) -> np.ndarray:
    """Random words, many of them equal, some the largest there is."""
    drawn = rng.integers(0, 2**32, (len(LENGTHS), T + 1), np.uint32)
    few = np.array([0, 5, 2**31, 2**32 - 1], np.uint32)[drawn % 4]
    return np.where(np.arange(len(LENGTHS))[:, None] % 2, drawn, few)


@pytest.mark.parametrize("room", [T, T + 4])
@pytest.mark.parametrize("name", TIME)
def test_steps_come_as_in_a_loop(words: np.ndarray, name: str, room: int) -> None:
    corrupt = jax.jit(jax.vmap(functools.partial(TIME[name], room=room)))
    found, lengths = corrupt(words, LENGTHS, AMOUNTS)
    for number, (length, strength) in enumerate(zip(LENGTHS, AMOUNTS, strict=True)):
        expected = slow.sources(name, words[number], int(length), int(strength))[:room]
        padding = [-1] * (room - len(expected))
        assert found[number].tolist() == expected + padding
        assert int(lengths[number]) == len(expected)
        if not strength:
            assert expected == list(range(length))


@pytest.mark.parametrize("name", ["gain_drift", "noise"])
def test_brightness_changes_as_in_a_loop(rng: np.random.Generator, name: str) -> None:
    steps = rng.integers(0, 256, (len(LENGTHS), T, 2, 1), np.uint8)
    steps[np.arange(T) >= LENGTHS[:, None]] = 0
    shape = steps.shape if name == "noise" else (len(LENGTHS), T + 1)
    drawn = rng.integers(0, 2**32, shape, np.uint32)
    found = jax.jit(jax.vmap(getattr(corruptions, name)))(drawn, steps, LENGTHS, AMOUNTS)
    loop = slow.noisy if name == "noise" else slow.drifted
    each = zip(drawn, steps, LENGTHS.tolist(), AMOUNTS.tolist(), strict=True)
    np.testing.assert_array_equal(found, [loop(*one) for one in each])
    np.testing.assert_array_equal(found[AMOUNTS == 0], steps[AMOUNTS == 0])


def test_noise_is_normal(rng: np.random.Generator) -> None:
    drawn = rng.integers(0, 2**32, (50_000,), np.uint32)
    grey = np.full(50_000, 128, np.uint8)
    found = np.asarray(jax.jit(corruptions.noise)(drawn, grey, 50_000, 100))
    error = (found.astype(np.float64) - 128) / 25.5
    assert abs(error.mean()) < 0.02 and abs(error.std() - 1) < 0.02
    # Of a normal one 68.3 % and 95.4 %.
    assert abs((abs(error) < 1).mean() - 0.683) < 0.02
    assert abs((abs(error) < 2).mean() - 0.954) < 0.01


@pytest.mark.parametrize("axes", [(-2,), (-3, -2)])
def test_pictures_move_as_in_a_loop(rng: np.random.Generator, axes: tuple[int, ...]) -> None:
    images = rng.integers(1, 256, (24, 6, 5, 2), np.uint8)
    drawn = rng.integers(0, 2**32, (24, 4), np.uint32)
    amounts = np.tile(np.array([0, 50, 300, 1000], np.int32), 6)
    move = jax.jit(jax.vmap(lambda w, i, s: corruptions.shift(w, i, axes, s)))
    found = move(drawn, images, amounts)
    places = [axis + 3 for axis in axes]
    each = zip(drawn, images, amounts.tolist(), strict=True)
    np.testing.assert_array_equal(found, [slow.shifted(w, i, places, s) for w, i, s in each])
    np.testing.assert_array_equal(found[amounts == 0], images[amounts == 0])
    # A clip moves as a whole.
    clip = jax.jit(lambda w, i, s: corruptions.shift(w, i, axes, s))(drawn[2], images[:3], 300)
    expected = [slow.shifted(drawn[2], image, places, 300) for image in images[:3]]
    np.testing.assert_array_equal(clip, expected)


def test_pictures_are_hidden_as_in_a_loop(rng: np.random.Generator) -> None:
    images = rng.integers(1, 256, (60, 6, 8, 2), np.uint8)
    drawn = rng.integers(0, 2**32, (60, 4), np.uint32)
    amounts = np.tile(np.array([0, 1, 200, 600, 1000], np.int32), 12)
    widths = rng.integers(1, 9, 60).astype(np.int32)
    found = jax.jit(jax.vmap(corruptions.occlusion))(drawn, images, widths, amounts)
    each = zip(drawn, images, widths.tolist(), amounts.tolist(), strict=True)
    np.testing.assert_array_equal(found, [slow.occluded(*one) for one in each])
    np.testing.assert_array_equal(found[amounts == 0], images[amounts == 0])


@pytest.mark.parametrize("sequence", ["rows", "columns", "pixels", "permuted_pixels", "patches"])
def test_steps_are_those_that_the_network_reads(rng: np.random.Generator, sequence: str) -> None:
    image = jnp.asarray(rng.integers(0, 256, (6, 4, 3), np.uint8))
    layout = StepLayout(sequence, patch_size=2)
    steps = layout.steps(image)
    read = create_sequence(sequence, patch_size=2)(image[None].astype(jnp.float32))[0]
    np.testing.assert_array_equal(steps.reshape(len(steps), -1), read)
    np.testing.assert_array_equal(layout.example(steps, image.shape), image)


def test_names_are_checked() -> None:
    assert chosen_corruptions("all") == tuple(STRENGTHS) == slow.PLACES
    assert chosen_corruptions("swap, drop") == ("swap", "drop")
    for asked, message in (
        ("dorp", r"^--corrupt: 'dorp' is not known; write all, or .*; did you mean 'drop'\?$"),
        ("drop,all", r"^--corrupt: 'all' is not known; write all, or some of drop,repeat"),
        ("drop,", "^--corrupt: '' is not known"),
        ("drop,swap,drop", "^--corrupt: 'drop,swap,drop' names drop twice; name it once$"),
    ):
        with pytest.raises(UserError, match=message):
            chosen_corruptions(asked)
