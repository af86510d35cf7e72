"""Clips of moving digits: numbers are found again in the pixels, by numpy and scipy."""

import dataclasses
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from scipy import ndimage, stats

from seqvision.data.synthetic.clip_recipe import MOTIONS, MovingDigits
from seqvision.data.synthetic.moving_digits import MovingDigitsSplit, moving_digits
from tests.data.making import grey_source, says

# Speed and turn are such that a full turn is 8 frames, and steps are not whole pixels.
MOTION = MovingDigits(
    task="motion",
    num_frames=8,
    min_frames=5,
    height=24,
    width=28,
    channels=1,
    digit_size=12,
    speed=1.5,
    turn=45.0,
    noise=0.0,
    occlusion=0.0,
)
DIGIT = dataclasses.replace(MOTION, task="digit", num_frames=3, min_frames=3)
RICH = dataclasses.replace(MOTION, num_frames=3, min_frames=1, channels=3, noise=0.1, occlusion=0.3)
COLOUR = dataclasses.replace(RICH, min_frames=3, noise=0.0, occlusion=0.0)

# Where a digit goes in one frame: rows count downwards.
STEPS = {"left": (0, -1.5), "right": (0, 1.5), "up": (-1.5, 0), "down": (1.5, 0)}
SENSES = {"clockwise": 1, "counterclockwise": -1}  # From right to below, or to above.

Clips = dict[str, np.ndarray]
take = jax.jit(MovingDigitsSplit.take)


def elbow(brightness: int) -> np.ndarray:
    """A soft L, unlike itself turned or mirrored."""
    image = np.zeros((12, 12))
    image[1:11, 2:4] = image[8:11, 2:9] = 1
    image = ndimage.gaussian_filter(image, 0.8)
    return np.round(brightness * image / image.max()).astype(np.uint8)


def digits_of(*images: np.ndarray) -> np.ndarray:
    return np.stack(images)[..., None]


ELBOWS = digits_of(elbow(90), elbow(160), elbow(255))
LABELS = np.array([7, 2, 5], np.int32)


def split_of(
    recipe: MovingDigits, images: np.ndarray = ELBOWS, seed: int = 0, split: str = "train"
) -> MovingDigitsSplit:
    return MovingDigitsSplit(recipe, images, LABELS, seed, split, 5000)


def clips_of(split: MovingDigitsSplit, num_clips: int) -> Clips:
    return jax.tree.map(np.asarray, take(split.arrays, np.arange(num_clips, dtype=np.int32)))


@cache
def motion_clips() -> Clips:
    return clips_of(split_of(MOTION), 3000)


@cache
def digit_clips() -> Clips:
    return clips_of(split_of(DIGIT), 300)


def frames_with(label: str) -> np.ndarray:
    """The clips of full length that have a label: (clips, T, height, width)."""
    clips = motion_clips()
    chosen = (clips["labels"] == MOTIONS.index(label)) & (clips["lengths"] == 8)
    assert chosen.sum() > 50
    return clips["inputs"][chosen, ..., 0]


def nearest(offset: np.ndarray, around: int) -> np.ndarray:
    return (offset + around / 2) % around - around / 2


def centroids(frames: np.ndarray) -> np.ndarray:
    """Row and column of each frame's centre of mass, on the picture without edges."""

    def along(profile: np.ndarray) -> np.ndarray:
        length = profile.shape[-1]
        position = np.arange(length)
        wave = profile @ np.exp(2j * np.pi * position / length)
        roughly = np.angle(wave) / (2 * np.pi) * length
        offset = nearest(position - roughly[..., None], length)
        return roughly + (profile * offset).sum(-1) / profile.sum(-1)

    return np.stack([along(frames.sum(-1)), along(frames.sum(-2))], axis=-1)


def steps_between(frames: np.ndarray) -> np.ndarray:
    """Rows and columns that the centre of mass goes from frame to frame."""
    steps = np.diff(centroids(frames), axis=1)
    return np.stack([nearest(steps[..., 0], 24), nearest(steps[..., 1], 28)], axis=-1)


def drawn_by_scipy(digit: np.ndarray, centre: np.ndarray, angle: float) -> np.ndarray:
    """A digit turned clockwise by an angle, in a frame of the picture without edges."""
    whole = np.floor(centre).astype(int)
    cosine, sine = np.cos(angle), np.sin(angle)
    inverse = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([12, 14]) + centre - whole
    drawn = ndimage.affine_transform(
        digit.astype(np.float64),
        inverse,
        5.5 - inverse @ middle,
        (24, 28),
        order=1,
        mode="grid-constant",
    )
    return np.roll(drawn, whole - [12, 14], axis=(0, 1))


# --- the data set ---


def test_dataset_tells_what_its_clips_are() -> None:
    source = grey_source(ELBOWS, ELBOWS)
    dataset = moving_digits(MOTION, source, 0, {"train": 7, "validation": 5, "test": 0})
    assert dataset.input_shape == (8, 24, 28, 1)
    assert dataset.of_clips
    assert dataset.class_names == MOTIONS
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 7}
    assert moving_digits(DIGIT, source, 0, {"train": 1}).class_names == source.class_names


def test_digits_are_scaled(rng: np.random.Generator) -> None:
    images = np.zeros((3, 12, 12, 1), np.uint8)
    images[0] = 77
    images[1, :6] = 200
    images[2, :, :6] = 200
    recipe = dataclasses.replace(MOTION, digit_size=8)
    even, upper, left = split_of(recipe, images).arrays.digits.astype(np.float64)
    assert (even == 77).all()
    for half in (upper, left.T):
        np.testing.assert_allclose(half.mean(axis=1), [200] * 4 + [0] * 4, atol=30)


# --- lengths ---


def test_lengths_are_all_between_the_bounds() -> None:
    counts = np.bincount(motion_clips()["lengths"])
    np.testing.assert_array_equal(np.flatnonzero(counts), [5, 6, 7, 8])
    assert stats.chisquare(counts[5:]).pvalue > 1e-3


def test_frames_after_the_end_are_0() -> None:
    clips = motion_clips()
    shown = clips["inputs"].any(axis=(2, 3, 4))
    np.testing.assert_array_equal(shown, np.arange(8) < clips["lengths"][:, None])


# --- the task `motion` ---


def test_motions_are_equally_frequent() -> None:
    assert stats.chisquare(np.bincount(motion_clips()["labels"], minlength=6)).pvalue > 1e-3


@pytest.mark.parametrize("label", STEPS)
def test_digits_go_where_the_label_says_and_do_not_turn(label: str) -> None:
    frames = frames_with(label)
    steps = steps_between(frames)
    np.testing.assert_allclose(steps, np.broadcast_to(STEPS[label], steps.shape), atol=0.03)
    # Two frames on, 3 whole pixels, everything is as it was.
    moved = np.roll(frames[:, :-2], np.multiply(2, STEPS[label]).astype(int), axis=(2, 3))
    np.testing.assert_array_equal(frames[:, 2:], moved)


@pytest.mark.parametrize("label", SENSES)
def test_turned_digits_look_as_scipy_draws_them(label: str) -> None:
    digit = ELBOWS[2, ..., 0]
    row, column = np.array(ndimage.center_of_mass(digit)) - 5.5
    clips = frames_with(label)
    clips = clips[clips.max(axis=(1, 2, 3)) > 200][:30]  # Those of the brightest elbow.
    back = np.exp(-1j * SENSES[label] * np.pi / 4 * np.arange(8))
    for frames in clips:
        steps = np.cumsum(steps_between(frames[None])[0], axis=0)
        places = centroids(frames[:1]) + np.concatenate([np.zeros((1, 2)), steps])
        centre = places.mean(axis=0)
        arms = (places - centre) @ [1j, 1]
        first = np.angle((arms * back).mean() / (column + 1j * row))
        for t, frame in enumerate(frames):
            drawn = drawn_by_scipy(digit, centre, first + SENSES[label] * np.pi / 4 * t)
            np.testing.assert_allclose(frame, drawn, atol=12)


# --- a single frame tells nothing of the motion ---


def pooled(frames: np.ndarray) -> np.ndarray:
    """Means of 4x4 pixels."""
    return frames.reshape(-1, 6, 4, 7, 4).mean(axis=(2, 4)).reshape(len(frames), -1)


def accuracy(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> float:
    """Of least squares on pooled pixels and on products of pixels up to 3 apart.

    It learns from one half of the clips and is tested on the other.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    spectrum = np.fft.fft2(second) * np.fft.fft2(first).conj()
    products = np.roll(np.fft.ifft2(spectrum).real, (3, 3), axis=(1, 2))[:, :7, :7]
    products = products.reshape(len(first), -1) / (first**2).sum(axis=(1, 2))[:, None]
    features = np.concatenate([pooled(first) / 255, products, np.ones((len(first), 1))], axis=1)
    half = len(first) // 2
    weights = np.linalg.lstsq(features[:half], np.eye(6)[labels[:half]], rcond=None)[0]
    return float(((features[half:] @ weights).argmax(axis=1) == labels[half:]).mean())


@pytest.mark.parametrize("t", [0, 4])
def test_one_frame_does_not_tell_the_motion(t: int) -> None:
    frames = motion_clips()["inputs"][:, t, ..., 0]
    assert abs(accuracy(frames, frames, motion_clips()["labels"]) - 1 / 6) < 0.04


def test_two_frames_tell_the_motion() -> None:
    frames = motion_clips()["inputs"][..., 0]
    assert accuracy(frames[:, 0], frames[:, 1], motion_clips()["labels"]) > 0.6


# --- the task `digit` ---


def test_digits_have_their_labels() -> None:
    clips = digit_clips()
    brightness = clips["inputs"].max(axis=(1, 2, 3, 4)).astype(np.float64)
    nearest_digit = np.abs(brightness[:, None] - ELBOWS.max(axis=(1, 2, 3))).argmin(axis=1)
    np.testing.assert_array_equal(clips["labels"], LABELS[nearest_digit])
    assert (np.bincount(nearest_digit) > 60).all()


def test_digits_are_upright() -> None:
    clips = digit_clips()
    for label, digit in zip(LABELS, ELBOWS[..., 0], strict=True):
        middle = np.array(ndimage.center_of_mass(digit)) - 5.5
        for frame in clips["inputs"][clips["labels"] == label, :, :, :, 0][:10].reshape(-1, 24, 28):
            drawn = drawn_by_scipy(digit, centroids(frame) - middle, 0.0)
            np.testing.assert_allclose(frame, drawn, atol=6)


def test_digits_go_straight_in_all_directions() -> None:
    steps = steps_between(digit_clips()["inputs"][..., 0])
    np.testing.assert_allclose(np.hypot(*np.moveaxis(steps, -1, 0)), 1.5, atol=0.05)
    np.testing.assert_allclose(steps[:, 1], steps[:, 0], atol=0.05)
    quadrants = (steps[:, 0] > 0) @ [1, 2]
    assert stats.chisquare(np.bincount(quadrants)).pvalue > 1e-3


# --- noise, occlusion and colour ---


@cache
def noisy_clips() -> np.ndarray:
    """Grey squares that fill the picture and stay, with noise, partly hidden: (clips, T, 24, 24).

    Noise is at most 27. Digits are bilinear, so where the square's edges meet it is half as bright.
    """
    recipe = dataclasses.replace(
        DIGIT, width=24, digit_size=24, speed=0.0, noise=0.03, occlusion=0.3
    )
    squares = np.full((3, 24, 24, 1), 128, np.uint8)
    return clips_of(split_of(recipe, squares), 300)["inputs"][..., 0].astype(np.float64)


def test_so_much_is_hidden_in_each_frame_anew() -> None:
    hidden = noisy_clips() < 30
    assert abs(hidden.mean() - 0.3) < 0.02
    assert abs((hidden[:, 1:] & hidden[:, :-1]).mean() - 0.3**2) < 0.02
    assert abs((hidden[1:] & hidden[:-1]).mean() - 0.3**2) < 0.02


def test_noise_is_as_strong_as_set_and_new_in_each_frame_pixel_and_clip() -> None:
    frames = noisy_clips()[:, :2]
    visible = (frames > 30).all(axis=1)
    noise = np.where(visible, frames[:, 1] - frames[:, 0], 0) / 2**0.5
    assert abs(noise[visible].mean()) < 0.1
    assert abs(noise[visible].std() - 0.03 * 255) < 0.1
    for here, there in (
        (noise[1:], noise[:-1]),
        (noise[:, 1:], noise[:, :-1]),
        (noise[..., 1:], noise[..., :-1]),
    ):
        assert abs(np.corrcoef(here.ravel(), there.ravel())[0, 1]) < 0.015


def test_every_clip_has_a_colour_that_stays() -> None:
    squares = np.full((3, 12, 12, 1), 255, np.uint8)
    frames = clips_of(split_of(COLOUR, squares), 50)["inputs"]
    colours = frames.max(axis=(2, 3))
    np.testing.assert_array_equal(colours, np.broadcast_to(colours[:, :1], colours.shape))
    assert len(np.unique(colours[:, 0], axis=0)) == 50
    shades = frames / colours[:, :, None, None]
    np.testing.assert_allclose(shades, shades.mean(axis=-1, keepdims=True) + 0 * shades, atol=0.02)


# --- fingerprints and errors ---


def test_fingerprints_see_all_that_clips_are_made_of() -> None:
    plain = {"recipe": MOTION, "images": ELBOWS, "labels": LABELS, "seed": 0, "split": "train"}

    def fingerprint(num_clips: int = 10, **other: Any) -> str:
        return MovingDigitsSplit(**(plain | other), num_clips=num_clips).fingerprint()

    values = ("digit", 9, 4, 25, 29, 3, 13, 2.0, 46.0, 0.1, 0.1, True)
    fields = [field.name for field in dataclasses.fields(MovingDigits)]
    recipes = [
        dataclasses.replace(MOTION, **{field: value})
        for field, value in zip(fields, values, strict=True)
    ]
    found = [
        fingerprint(),
        *(fingerprint(recipe=recipe) for recipe in recipes),
        fingerprint(images=ELBOWS[::-1]),
        fingerprint(labels=LABELS[::-1]),
        fingerprint(seed=1),
        fingerprint(split="test"),
        fingerprint(num_clips=11),
    ]
    assert len(set(found)) == len(found)
    assert fingerprint() == found[0]


def test_colour_sources_are_refused() -> None:
    colour = grey_source(*2 * [np.repeat(ELBOWS, 3, axis=-1)])
    says(
        lambda: moving_digits(MOTION, colour, 0, {"train": 1}),
        "grey images, and digits has 12x12x3",
    )
