"""Keras 3 on its JAX backend."""

import os
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "jax"  # Read when keras is imported.

import jax
import keras
import numpy as np

from benchmarks.machine import describe_devices
from benchmarks.speed.cases import LEARNING_RATE, NUM_BATCHES, NUM_CLASSES, Case
from benchmarks.speed.contender import Run
from benchmarks.speed.inputs import make_batches

# Examples of an epoch of `fit` and `predict`: enough that what happens between epochs is little.
_EPOCH = 16384
_STEPS_PER_EXECUTION = 16


class KerasContender:
    """Batch by batch, or whole epochs by `fit` and `predict`."""

    def versions(self) -> dict[str, str]:
        return {"keras": keras.__version__, "jax": jax.__version__, "device": describe_devices()}

    def settings(self, case: Case) -> dict[str, Callable[[], Run]]:
        if case.network != "lstm":
            raise ValueError(f"keras runs lstm only, not {case.network}")
        on_batch, epochs = "train_on_batch", "fit"
        if case.mode == "forward":
            on_batch, epochs = "predict_on_batch", "predict"
        return {
            on_batch: lambda: _on_batch(case),
            epochs: lambda: _epochs(case, 1),
            f"{epochs}, steps_per_execution={_STEPS_PER_EXECUTION}": (
                lambda: _epochs(case, _STEPS_PER_EXECUTION)
            ),
        }


def _create(case: Case, steps_per_execution: int = 1) -> keras.Model:
    policy = "mixed_bfloat16" if case.dtype == "bfloat16" else "float32"
    keras.mixed_precision.set_global_policy(policy)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((case.num_steps, case.num_features)),
            keras.layers.LSTM(case.hidden_size),
            keras.layers.Dense(NUM_CLASSES, dtype="float32"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=steps_per_execution,
    )
    return model


def _on_batch(case: Case) -> Run:
    model = _create(case)
    batches = [tuple(jax.device_put(array) for array in batch) for batch in make_batches(case)]

    def run(num_steps: int) -> None:
        for number in range(num_steps):
            inputs, labels = batches[number % NUM_BATCHES]
            # Both return numpy arrays or floats, so that each step has ended.
            if case.mode == "forward":
                model.predict_on_batch(inputs)
            else:
                model.train_on_batch(inputs, labels)

    return run


def _epochs(case: Case, steps_per_execution: int) -> Run:
    model = _create(case, steps_per_execution)
    inputs, labels = (np.concatenate(part) for part in zip(*make_batches(case), strict=True))
    repeats = max(1, _EPOCH // len(labels))
    inputs, labels = np.concatenate([inputs] * repeats), np.concatenate([labels] * repeats)
    steps_per_epoch = len(labels) // case.batch_size

    def run(num_steps: int) -> None:
        while num_steps:
            now = min(num_steps, steps_per_epoch)
            part, size = slice(now * case.batch_size), case.batch_size
            if case.mode == "forward":
                model.predict(inputs[part], batch_size=size, verbose=0)
            else:
                model.fit(inputs[part], labels[part], batch_size=size, shuffle=False, verbose=0)
            num_steps -= now

    return run
