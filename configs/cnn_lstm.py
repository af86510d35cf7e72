"""MNIST: convolutions, then an LSTM over one single step that holds all their features.

Convolution 3x3 with 32 channels, ReLU, max-pool 2; the same with 64 channels; flattened, one step
-> LSTM -> dense layer. Images of 1 or 3 channels.

    python main.py --config=configs/cnn_lstm.py
"""

from ml_collections import ConfigDict

from configs import row_lstm


def get_config() -> ConfigDict:
    config = row_lstm.get_config()
    config.model.sequence = "cnn"
    config.model.cnn_channels = (32, 64)
    config.optimizer.learning_rate = 3e-3
    config.duration = "6 epochs"
    return config
