"""The row LSTM on MNIST: which learning rate for which number of units? 12 runs of one epoch.

    python main.py --config=configs/sweeps/learning_rate_and_size.py --mode=sweep --sweep_workers=2

Adam at a constant learning rate, batch 128, chosen by the validation split of 5,000 images. On
both cores of a 2-core CPU with AVX-512, other work beside it (jax 0.12.0.1, Python 3.12), in 1:32
min: the best is 1e-2 with 128 units, 96.31 % of the test images.
"""

from ml_collections import ConfigDict

from configs import default
from seqvision.sweeps.search_space import Overrides, grid


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
