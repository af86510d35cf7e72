"""Splits, order, batches and augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from seqvision.data.batching import example_indices, padded_indices
from seqvision.data.dataset import ArraySplit, Dataset, hold_out_validation
from seqvision.data.preprocessing import shift_and_rotate
from seqvision.errors import UserError

# --- order ---


def test_order_is_a_pure_function_of_seed_and_epoch() -> None:
    whole = example_indices(3, 10, 0, 35)
    for epoch in range(3):
        assert sorted(whole[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert not np.array_equal(whole[:10], whole[10:20])
    assert not np.array_equal(whole, example_indices(4, 10, 0, 35))
    for start in range(35):
        np.testing.assert_array_equal(example_indices(3, 10, start, 35 - start), whole[start:])


# --- batches ---


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10, 64])
def test_every_example_is_in_exactly_one_batch(batch_size: int) -> None:
    batches = list(padded_indices(10, batch_size))
    assert all(len(indices) == len(mask) == batch_size for indices, mask in batches)
    seen = np.concatenate([indices[mask] for indices, mask in batches])
    np.testing.assert_array_equal(seen, np.arange(10))
    assert all((indices < 10).all() for indices, _ in batches)  # What fills up can be taken too.


# --- splits ---


def test_validation_is_the_end_of_train(mnist: Dataset) -> None:
    whole = mnist.splits["train"]
    held_out = hold_out_validation(whole, 5000, "mnist")
    train, validation = held_out["train"], held_out["validation"]
    assert (len(train), len(validation)) == (55_000, 5000)
    np.testing.assert_array_equal(np.concatenate([train.labels, validation.labels]), whole.labels)
    assert list(hold_out_validation(whole, 0, "mnist")) == ["train"]
    with pytest.raises(UserError, match="leaves nothing to train on"):
        hold_out_validation(whole, 60_000, "mnist")
    with pytest.raises(UserError, match="split 'dev': mnist has train, test; choose one"):
        mnist.split("dev")


def test_fingerprints_see_every_array(rng: np.random.Generator) -> None:
    clips = rng.integers(0, 256, (3, 4, 5, 6, 1), np.uint8)
    labels, lengths = np.arange(3, dtype=np.int32), np.array([4, 2, 1], np.int32)
    splits = [
        ArraySplit(clips, labels, lengths),
        ArraySplit(clips, labels[::-1].copy(), lengths),
        ArraySplit(clips, labels, lengths[::-1].copy()),
        ArraySplit(255 - clips, labels, lengths),
        ArraySplit(clips.reshape(3, 4, 6, 5, 1), labels, lengths),
        ArraySplit(clips, labels),
    ]
    assert len({split.fingerprint() for split in splits}) == len(splits)
    taken = splits[0].take(splits[0].arrays, np.array([2, 0]))
    np.testing.assert_array_equal(taken["inputs"], clips[[2, 0]])
    np.testing.assert_array_equal(taken["lengths"], [1, 4])


# --- augmentation ---


def test_augmentation_moves_as_scipy_does(mnist: Dataset) -> None:
    images = mnist.splits["train"].inputs[:3].astype(np.float32) / 255
    keys = jax.random.split(jax.random.key(5), len(images))
    moved = shift_and_rotate(keys, jnp.asarray(images), max_shift=3.0, max_rotation=30.0)
    for key, image, result in zip(keys, images, moved, strict=True):
        shift_key, angle_key = jax.random.split(key)
        shift = np.asarray(jax.random.uniform(shift_key, (2,), minval=-3.0, maxval=3.0))
        angle = np.asarray(jax.random.uniform(angle_key, minval=-30.0, maxval=30.0))
        sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
        matrix = np.array([[cosine, -sine], [sine, cosine]])
        centre = np.array([13.5, 13.5])
        expected = ndimage.affine_transform(
            image[..., 0], matrix, offset=centre - matrix @ centre + shift, order=1
        )
        np.testing.assert_allclose(result[3:-3, 3:-3, 0], expected[3:-3, 3:-3], atol=1e-4)


def test_augmentation_of_nothing_is_nothing(mnist: Dataset) -> None:
    images = jnp.asarray(mnist.splits["train"].inputs[:2], jnp.float32)
    same = shift_and_rotate(
        jax.random.split(jax.random.key(0), len(images)), images, max_shift=0.0, max_rotation=0.0
    )
    np.testing.assert_allclose(same, images, atol=1e-3)


def test_a_clip_moves_as_a_whole(rng: np.random.Generator) -> None:
    clips = jnp.asarray(rng.uniform(size=(3, 4, 9, 7, 2)), jnp.float32)
    keys = jax.random.split(jax.random.key(1), len(clips))
    moved = shift_and_rotate(keys, clips, max_shift=2.0, max_rotation=20.0)
    for frame in range(4):
        alone = shift_and_rotate(keys, clips[:, frame], max_shift=2.0, max_rotation=20.0)
        np.testing.assert_allclose(moved[:, frame], alone, atol=1e-6)
