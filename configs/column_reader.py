"""Reads lines of handwritten digits column by column."""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "clean") -> ConfigDict:
    config = default.get_config()
    config.data.source = "digit_lines"
    config.lines.level = "clean"
    config.lines.train_level = "natural"
    config.data.batch_size = 64
    config.data.eval_batch_size = 500
    config.model.sequence = "columns"
    config.model.readout = "per_step"
    config.model.hidden_size = 128
    config.duration = "6000 steps"
    config.evaluate_every = "1000 steps"
    config.optimizer.learning_rate = 4e-3
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    config.schedule.warmup = "20 %"
    config.ema_decay = 0.999
    return config
