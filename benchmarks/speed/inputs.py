"""The same made-up data for every contender."""

import numpy as np

from benchmarks.speed.cases import NUM_BATCHES, NUM_CLASSES, Case


def make_bytes(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Random images or clips (N, *input_shape) uint8 and labels (N,) int32, for all batches."""
    rng = np.random.default_rng(0)
    num_examples = NUM_BATCHES * case.batch_size
    inputs = rng.integers(0, 256, (num_examples, *case.input_shape), np.uint8)
    return inputs, rng.integers(0, NUM_CLASSES, num_examples, np.int32)


def make_batches(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same as float32 in [0, 1], batch by batch; those of `lstm` are (B, T, D)."""
    inputs, labels = make_bytes(case)
    floats = inputs.astype(np.float32) / 255
    if case.network == "lstm":
        floats = floats[..., 0]
    return list(zip(np.split(floats, NUM_BATCHES), np.split(labels, NUM_BATCHES), strict=True))
