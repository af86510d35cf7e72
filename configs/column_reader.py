"""Reads lines of handwritten digits column by column, from left to right, as they are written.

    python main.py --config=configs/column_reader.py                     # clean lines
    python main.py --config=configs/column_reader.py:natural             # uneven, touching
    python main.py --config=configs/column_reader.py:hard                # overlapping, noisy
    python main.py --config=configs/column_reader.py:bidirectional       # offline only
    python main.py --config=configs/column_reader.py:quick               # 2 minutes, to try

Lines of 1 to 20 symbols, spaces included, are made of MNIST digits as they are needed. Training
lines are shorter; for `clean` and `natural` they are of both in turn. Seed 0 on both cores of a
2-core AMD EPYC (jax 0.9.2, Python 3.11.7), 10,000 lines of the test digits: the whole command took
6:49 min, character error rate 0.60 % on `clean` lines and 0.91 % on `natural` ones. Beside other
work: `quick` 2:27 min, 1.19 %; `hard` 8:04 min, 2.58 %; `bidirectional` 11:24 min, 0.48 and 0.78 %.
"""

from ml_collections import ConfigDict

from configs import default

_TRAIN_LEVELS = {"clean": "clean+natural", "natural": "clean+natural", "hard": "hard"}


def get_config(variant: str = "clean") -> ConfigDict:
    """A level, `bidirectional`, `quick`, or some of them, such as `hard,bidirectional`."""
    names = variant.split(",")
    levels = [name for name in names if name in _TRAIN_LEVELS] or ["clean"]
    known = {*_TRAIN_LEVELS, "bidirectional", "quick"}
    if len(levels) > 1 or len(names) > len(set(names)) or not set(names) <= known:
        raise ValueError(
            f"variant '{variant}' is not known; choose one of {', '.join(_TRAIN_LEVELS)},"
            " bidirectional, quick, or some of them, such as hard,bidirectional"
        )
    config = default.get_config()
    config.duration = "6300 steps"
    config.evaluate_every = "1000 steps"
    config.checkpoint.every = "500 steps"
    config.data.source = "digit_lines"
    config.data.batch_size = 64
    config.data.eval_batch_size = 500
    config.lines.level = levels[0]
    config.lines.train_level = _TRAIN_LEVELS[levels[0]]
    # Twice the columns teach little more in as many steps, and take twice as long: see
    # docs/text_lines.md.
    config.lines.train_width = 96
    config.lines.train_min_symbols = 5
    config.lines.validation_lines = 1000
    config.model.sequence = "cnn_columns"
    config.model.cnn_channels = (8, 16, 16)
    config.model.hidden_size = 128
    config.model.readout = "per_step"
    # Each digit is seen dozens of times, and without decay learnt by heart.
    config.optimizer.name = "adamw"
    config.optimizer.weight_decay = 0.1
    config.optimizer.learning_rate = 5e-3
    config.optimizer.beta2 = 0.98
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    config.schedule.warmup = "20 %"
    config.ema_decay = 0.999
    if "bidirectional" in names:
        # A second layer, since what the first knows of a symbol from its left and from its right is
        # in different columns.
        config.model.bidirectional = True
        config.model.num_layers = 2
        config.model.hidden_size = 64
        config.duration = "5500 steps"
    if "quick" in names:
        config.duration = "1400 steps"
        config.evaluate_every = config.checkpoint.every = "700 steps"
        config.model.hidden_size = 96
        # Steps so large learn more in few of them, and no more in many.
        config.optimizer.learning_rate = 8e-3
        config.optimizer.beta2 = 0.95
        config.ema_decay = 0.99
    return config
