"""MNIST read row by row: 28 time steps of 28 pixels, LSTM, dense layer on the last output.

    python main.py --config=configs/row_lstm.py             # tuned: 128 units, batch 256, 8 epochs
    python main.py --config=configs/row_lstm.py:fast        # 128 units, batch 64, 2.5 epochs
    python main.py --config=configs/row_lstm.py:estimator   # 64 units, batch 32, Adam 1e-3
    python main.py --config=configs/row_lstm.py:book        # 128 units, batch 128, 60k/10k split

Test accuracy on one of the 2 cores of an AMD EPYC with AVX-512 (`taskset -c 1`, other work beside
it), Python 3.11.7, jax 0.9.2, float32; the time is that of the whole command with MNIST prepared,
in min:sec:

    tuned      1:43-1:59  99.26 % = mean of seeds 0-2: 99.27, 99.26, 99.26
    estimator  0:49-0:50  97.76 % = mean of seeds 0-2: 97.82, 97.90, 97.55
    book       3:14       98.58 % (seed 0)

The recipe of `tuned` was chosen by validation accuracy, its length by time.

`fast` is for the shortest training over 98.5 %; time and test accuracy are not measured yet. Its
validation accuracy was 98.98, 98.60, 98.62 % with seeds 0-2. It was chosen for that of seed 0, the
highest of 38 settings, so that figure flatters it.
"""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "tuned") -> ConfigDict:
    config = default.get_config()
    config.model.sequence = "rows"
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
    elif variant == "fast":
        config.data.batch_size = 64
        config.duration = "2.5 epochs"
        config.evaluate_every = "never"
        config.checkpoint.every = "never"
        config.model.gate_init = "chrono"
        config.optimizer.learning_rate = 7e-3
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
    else:
        raise ValueError(f"variant '{variant}' is not known; choose tuned, fast, estimator or book")
    return config
