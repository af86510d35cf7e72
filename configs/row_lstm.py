"""MNIST read row by row: 28 time steps of 28 pixels, LSTM, dense layer on the last output.

    python main.py --config=configs/row_lstm.py             # tuned: 128 units, 10 epochs
    python main.py --config=configs/row_lstm.py:estimator   # 64 units, batch 32, Adam 1e-3
    python main.py --config=configs/row_lstm.py:book        # 128 units, batch 128, 60k/10k split

PROMISE
"""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "tuned") -> ConfigDict:
    config = default.get_config()
    config.model.architecture = "row_lstm"
    if variant == "tuned":
        config.data.batch_size = 256
        config.augment.max_shift = 2.0
        config.augment.max_rotation = 10.0
        config.duration = "8 epochs"
        config.optimizer.learning_rate = 8e-3
        config.optimizer.clip_norm = 1.0
        config.schedule.name = "one_cycle"
        config.schedule.warmup = "30 %"
        config.schedule.final_fraction = 0.001
    elif variant == "estimator":
        config.model.hidden_size = 64
        config.data.batch_size = 32
        config.duration = "5 epochs"
    elif variant == "book":
        config.data.batch_size = 128
        config.data.validation_examples = 0
        config.log_every = "100 steps"
    else:
        raise ValueError(f"variant '{variant}' is not known; choose tuned, estimator or book")
    return config
