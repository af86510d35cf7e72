"""The row LSTM in Keras as two programs: the test set evaluated, a folder of PNGs predicted.

    python -m benchmarks.speed.contenders.keras_commands evaluate MODEL.weights.h5
    python -m benchmarks.speed.contenders.keras_commands predict MODEL.weights.h5 FOLDER OUTPUT.csv

The weights are those of an export with `--format=keras`. `image_dataset_from_directory` needs
TensorFlow, whatever the backend is.
"""

from pathlib import Path

import h5py
import keras

from benchmarks.accuracy.mnist_files import read_split
from benchmarks.speed.contenders.peer_program import run, write_csv

_BATCH = 1000


def network_of(weights: str) -> keras.Model:
    """Reads images (B, 28, 28) in [0, 1] row by row; logits (B, 10)."""
    with h5py.File(weights) as file:
        hidden_size = file["layers/lstm/cell/vars/1"].shape[0]
    layers = [keras.Input((28, 28)), keras.layers.LSTM(hidden_size), keras.layers.Dense(10)]
    network = keras.Sequential(layers)
    network.load_weights(weights)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(loss=loss, metrics=["accuracy"])
    return network


def evaluate(network: keras.Model) -> float:
    """The accuracy on the test set in %."""
    values = network.evaluate(*read_split("test"), batch_size=_BATCH, verbose=0, return_dict=True)
    return 100 * values["accuracy"]


def predict(network: keras.Model, folder: Path, output: Path) -> None:
    pictures = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="grayscale",
        batch_size=_BATCH,
        image_size=(28, 28),
        shuffle=False,
        verbose=False,
    )
    rows = pictures.map(lambda batch: batch[..., 0] / 255)
    logits = network.predict(rows, verbose=0)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    write_csv(pictures.file_paths, probabilities, output)


if __name__ == "__main__":
    run(network_of, evaluate, predict)
