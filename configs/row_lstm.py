"""MNIST read row by row: 28 time steps of 28 pixels, LSTM, dense layer on the last output.

    python main.py --config=configs/row_lstm.py             # tuned: 128 units, batch 256, 8 epochs
    python main.py --config=configs/row_lstm.py:fast99      # the same, batch 128, 5 epochs
    python main.py --config=configs/row_lstm.py:fast        # 128 units, batch 64, 3 epochs
    python main.py --config=configs/row_lstm.py:estimator   # 64 units, batch 32, Adam 1e-3
    python main.py --config=configs/row_lstm.py:book        # 128 units, batch 128, 60k/10k split

Test accuracy on one of the 2 cores of an AMD EPYC with AVX-512 (`taskset -c 1`, other work beside
it), Python 3.11.7, jax 0.9.2, float32; the time is that of the whole command with MNIST prepared,
in min:sec:

    tuned      1:43-1:59  99.26 % = mean of seeds 0-2: 99.27, 99.26, 99.26
    estimator  0:49-0:50  97.76 % = mean of seeds 0-2: 97.82, 97.90, 97.55
    book       3:14       98.58 % (seed 0)

The recipe of `tuned` was chosen by validation accuracy, its length by time.

`fast99` reaches 99 % sooner; its length was chosen by validation accuracy (99.22 % = mean of seeds
0-4, 98.99 % with 4 epochs). The whole command, on both cores with hardly anything else,
`--report=false` and `execution=native`, in turn with `tuned`: 0:28, 0:27, 0:28, 0:26, 0:26 (`tuned`
0:41, 0:45, 0:47, 0:40, 0:38); test accuracy 99.18 % = mean of seeds 0-4: 99.09, 99.20, 99.15,
99.23, 99.24 (`tuned` 99.27 %: 99.28, 99.33, 99.29, 99.12, 99.35).

`fast` is for a short training well over 98.5 %, its length chosen by validation accuracy: 98.93 % =
mean of seeds 0-4: 98.96, 98.96, 98.88, 98.90, 98.96 (with 2 epochs 98.67, the lowest 98.58). Test
accuracy 98.90 %: 98.99, 98.89, 98.87, 98.89, 98.88 (Python 3.12.1, jax 0.12.0.1). On both cores,
with nothing else, Python 3.11.7 and jax 0.9.2, `fast` took 0:40 (98.80 %, seed 0) with
`execution=fused`.
"""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "tuned") -> ConfigDict:
    config = default.get_config()
    config.model.sequence = "rows"
    if variant in ("tuned", "fast99"):
        config.data.batch_size = 256
        config.augment.max_shift = 2.0
        config.augment.max_rotation = 10.0
        config.duration = "8 epochs"
        config.optimizer.learning_rate = 8e-3
        config.optimizer.clip_norm = 1.0
        config.schedule.name = "one_cycle"
        config.schedule.warmup = "30 %"
        config.schedule.final_fraction = 0.001
        if variant == "fast99":
            config.data.batch_size = 128
            config.duration = "5 epochs"
            config.evaluate_every = "never"
            config.checkpoint.every = "never"
    elif variant == "fast":
        config.data.batch_size = 64
        config.duration = "3 epochs"
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
        known = "tuned, fast99, fast, estimator or book"
        raise ValueError(f"variant '{variant}' is not known; choose {known}")
    return config
