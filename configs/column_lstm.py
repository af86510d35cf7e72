"""MNIST read column by column, left to right: 28 time steps of 28 pixels, LSTM, dense layer.

    python main.py --config=configs/column_lstm.py

Test accuracy 99.12 % = mean of seeds 0-1: 99.13, 99.10. The whole command took 1:43-1:56 min:sec,
MNIST prepared, on one of the 2 cores of an AMD EPYC with AVX-512 (`taskset -c 1`, other work beside
it), Python 3.11.7, jax 0.9.2, float32. The recipe is row_lstm.py's, untuned.
"""

from ml_collections import ConfigDict

from configs import row_lstm


def get_config() -> ConfigDict:
    config = row_lstm.get_config()
    config.model.sequence = "columns"
    return config
