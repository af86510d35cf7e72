"""MNIST: the rows of a CNN's feature map are the time steps of a bidirectional LSTM.

Convolution 3x3 with 32 channels, ReLU, max-pool 2; the same with 64 channels: 7 rows of 7 x 64
features -> LSTMs downwards and upwards -> dense layer.

    python main.py --config=configs/cnn_rows_lstm.py
"""

from ml_collections import ConfigDict

from configs import cnn_lstm


def get_config() -> ConfigDict:
    config = cnn_lstm.get_config()
    config.model.sequence = "cnn_rows"
    config.model.bidirectional = True
    return config
