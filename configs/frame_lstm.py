"""Clips of moving digits, frame by frame: one CNN on every frame, an LSTM over the frames.

python main.py --config=configs/frame_lstm.py               # motion: which way it moves or turns
python main.py --config=configs/frame_lstm.py:single_frame  # the same network, one frame: chance
python main.py --config=configs/frame_lstm.py:digit         # which digit, through noise
"""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "motion") -> ConfigDict:
    config = default.get_config()
    config.data.source = "moving_digits"
    config.data.batch_size = 64
    config.data.eval_batch_size = 500
    config.model.sequence = "frames"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    config.schedule.warmup = "30 %"
    config.schedule.final_fraction = 0.001
    config.duration = "500 steps"
    config.log_every = "50 steps"
    config.evaluate_every = "250 steps"
    config.checkpoint.every = "250 steps"
    if variant == "motion":
        pass
    elif variant == "single_frame":
        config.clips.num_frames = 1
    elif variant == "digit":
        config.clips.task = "digit"
        config.clips.num_frames = 16
        config.clips.height = 20
        config.clips.width = 20
        config.clips.digit_size = 16
        config.clips.speed = 1.0
        config.clips.noise = 0.1
        config.clips.occlusion = 0.5
        # It says what it believes after every frame, and learns from all of them.
        config.model.readout = "per_step"
        config.loss.step_weight = 1.0
        config.data.batch_size = 32
        config.data.eval_batch_size = 200
        config.duration = "1200 steps"
    else:
        raise ValueError(f"variant '{variant}' is not known; choose motion, single_frame or digit")
    return config
