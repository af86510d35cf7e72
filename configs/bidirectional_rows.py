"""MNIST read row by row, downwards and upwards at once: two LSTMs, joined before the dense layer.

    python main.py --config=configs/bidirectional_rows.py

Test accuracy 99.27 % = mean of seeds 0-1: 99.27, 99.26. The whole command took 4:11 min:sec (seed
1), MNIST prepared, on one of the 2 cores of an AMD EPYC with AVX-512 (`taskset -c 1`, other work
beside it), Python 3.11.7, jax 0.9.2, float32. The recipe is row_lstm.py's, untuned.
"""

from ml_collections import ConfigDict

from configs import row_lstm


def get_config() -> ConfigDict:
    config = row_lstm.get_config()
    config.model.bidirectional = True
    return config
