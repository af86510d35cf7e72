"""The row LSTM on MNIST: which learning rate for which number of units? 12 runs of one epoch.

    python main.py --config=configs/sweeps/learning_rate_and_size.py --mode=sweep --sweep_workers=2

Adam at a constant learning rate, batch 128, chosen by the validation split of 5,000 images. Time
and accuracy: not measured yet.
"""

from ml_collections import ConfigDict

from configs import default
from seqvision.combinators import Overrides, grid


def get_config() -> ConfigDict:
    config = default.get_config()
    config.duration = "1 epochs"
    config.evaluate_every = "0.25 epochs"
    config.optimizer.clip_norm = 1.0
    return config


def get_sweep() -> list[Overrides]:
    return grid(
        {
            "model.hidden_size": [32, 64, 128],
            "optimizer.learning_rate": [1e-3, 3e-3, 1e-2, 3e-2],
        }
    )
