"""The shell game: which cup is the ball under? It is seen in the first frame only.

python main.py --config=configs/shell_game.py
"""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "shell") -> ConfigDict:
    config = default.get_config()
    config.data.source = "moving_digits"
    config.data.target = "steps"
    config.data.batch_size = 64
    config.data.eval_batch_size = 500
    config.clips.task = "shell"
    config.clips.train_swaps = 6
    config.clips.train_min_swaps = 1
    config.clips.height = 12
    config.clips.width = 24
    config.clips.noise = 0.05
    config.clips.test_clips = 2000
    config.clips.validation_clips = 500
    config.model.sequence = "frames"
    config.model.cnn_channels = (8, 16)
    config.model.readout = "per_step"
    config.model.hidden_size = 64
    config.optimizer.learning_rate = 3e-3
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    config.schedule.warmup = "30 %"
    config.schedule.final_fraction = 0.001
    config.checkpoint.best_metric = "accuracy"
    config.duration = "1500 steps"
    config.log_every = "100 steps"
    config.evaluate_every = "500 steps"
    config.checkpoint.every = "500 steps"
    return config
