"""MNIST read row by row, downwards and upwards at once: two LSTMs, joined before the dense layer.

python main.py --config=configs/bidirectional_rows.py
"""

from ml_collections import ConfigDict

from configs import row_lstm


def get_config() -> ConfigDict:
    config = row_lstm.get_config()
    config.model.bidirectional = True
    return config
