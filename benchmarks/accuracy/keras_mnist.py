"""The row LSTM on MNIST in Keras 3 on JAX.

    python -m benchmarks.accuracy.keras_mnist --recipe=usual

As in Keras's own examples, with one favour: several steps an execution.
"""

import os
import sys
from collections.abc import Sequence

os.environ["KERAS_BACKEND"] = "jax"  # Read when keras is imported.

import keras
import numpy as np

from benchmarks.accuracy.mnist_files import read_split
from benchmarks.accuracy.recipe import Recipe, parse_recipe, report
from benchmarks.accuracy.start import gate_biases, recurrent_kernels

_STEPS_PER_EXECUTION = 16

Data = tuple[np.ndarray, np.ndarray]


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate for each step."""

    def __init__(self, rates: list[float]) -> None:
        self._rates = np.asarray([*rates, 0.0], np.float32)

    def __call__(self, step: object) -> object:
        return keras.ops.take(self._rates, keras.ops.cast(step, "int32"))


class TestAfterEpoch(keras.callbacks.Callback):
    """Evaluates the test set after every epoch, and ends the training at the target."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, target: float) -> None:
        super().__init__()
        self._test, self._target = (images, labels), target

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        reached = accuracy(self.model, *self._test)
        report(epoch + 1, reached)
        self.model.stop_training = reached >= self._target


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """In %."""
    values = model.evaluate(images, labels, batch_size=1000, verbose=0, return_dict=True)
    return 100 * values["accuracy"]


def create_model(recipe: Recipe, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.LSTM(recipe.hidden_size),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=_STEPS_PER_EXECUTION,
    )
    return model


def start_as_ours(lstm: keras.layers.LSTM, recipe: Recipe) -> None:
    """Its gates are i, f, g, o, side by side."""
    kernels = recurrent_kernels(recipe.hidden_size, recipe.seed)
    biases = gate_biases(recipe.gate_init, recipe.forget_bias, recipe.hidden_size, recipe.seed)
    input_kernel, _, _ = lstm.get_weights()
    lstm.set_weights([input_kernel, np.concatenate(kernels, axis=1), biases.ravel()])


def train_usual(recipe: Recipe, train: Data, test: Data) -> None:
    model = create_model(recipe, keras.optimizers.Adam(1e-3))
    model.fit(
        *train,
        batch_size=recipe.batch_size,
        epochs=recipe.max_epochs,
        callbacks=[TestAfterEpoch(*test, recipe.target)],
        verbose=0,
    )


def train_ours(recipe: Recipe, train: Data, test: Data) -> None:
    optimizer = keras.optimizers.Adam(
        Rates(recipe.learning_rates()), global_clipnorm=recipe.clip_norm or None
    )
    model = create_model(recipe, optimizer)
    start_as_ours(model.layers[0], recipe)
    epoch_steps = recipe.train_examples // recipe.batch_size
    epochs, rest = divmod(recipe.total_steps, epoch_steps)
    for num_epochs, num_steps in ((epochs, epoch_steps), (1, rest)):
        if num_epochs and num_steps:
            images, labels = (part[: num_steps * recipe.batch_size] for part in train)
            model.fit(images, labels, batch_size=recipe.batch_size, epochs=num_epochs, verbose=0)
    report(recipe.total_steps / epoch_steps, accuracy(model, *test))


def main(arguments: Sequence[str]) -> int:
    recipe = parse_recipe(__doc__, arguments)
    keras.utils.set_random_seed(recipe.seed)
    train = train_usual if recipe.recipe == "usual" else train_ours
    train(recipe, read_split("train"), read_split("test"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
