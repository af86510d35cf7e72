"""MNIST read column by column, left to right: 28 time steps of 28 pixels, LSTM, dense layer.

python main.py --config=configs/column_lstm.py
"""

from ml_collections import ConfigDict

from configs import row_lstm


def get_config() -> ConfigDict:
    config = row_lstm.get_config()
    config.model.sequence = "columns"
    return config
