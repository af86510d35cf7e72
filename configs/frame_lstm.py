"""Clips of moving digits, frame by frame: one CNN on every frame, an LSTM over the frames.

    python main.py --config=configs/frame_lstm.py               # motion: left, right, up or down?
    python main.py --config=configs/frame_lstm.py:single_frame  # the same network, one frame
    python main.py --config=configs/frame_lstm.py:digit         # which digit? half of it is hidden
    python main.py --config=configs/frame_lstm.py:estimator     # which digit? a CNN for each frame
    python main.py --config=configs/frame_lstm.py:per_frame     # which way, in every frame?

Test accuracy (10,000 clips, seed 0) and time of the whole command in min:sec, MNIST prepared, on
one of the 2 cores of an AMD EPYC with AVX-512 (`taskset -c 0`, other work beside it), Python
3.11.7, jax 0.9.2, float32:

    motion         6:18  100.00 %
    single_frame   1:10   24.69 % (chance is 25 %: no single frame shows the motion)
    digit          7:37   80.01 %

Accuracy of `digit` after each frame, by the same command with `--mode=evaluate`:

    frames      1      2      4      8     12     16
    accuracy %  38.72  53.07  65.64  75.24  78.24  80.01

`per_frame` has a target for every frame: which way the digit moved to it. It turns now and then,
and half of each frame is hidden. Test mAP per frame after 600 steps (seed 0): 0.6904; trained on
the last frame of each clip alone (`--config.loss.steps=last`): 0.2511, which is chance. The whole
command took 6:39 and 3:17 on both cores, much other work beside it.

With `--config.clips.turn=30.0` two classes more turn clockwise or counterclockwise, which takes far
longer to learn: 1000 steps told the directions, but not the two apart.

`estimator` is the network of a TensorFlow 1 Estimator whose loop over 5 frames makes a CNN for each
of them: no border (28 -> 26 -> 13 -> 11 -> 5: 1600 features), 64 units, batch 32, Adam 1e-3. With
the arrays of such a checkpoint it gives the same probabilities within 3e-7. Digits of the original
clips lie in the middle and move to the right; here they start anywhere and move anywhere, which is
harder: test accuracy 66.09 % after 500 steps (seed 0). The whole command took 3:04 on both cores,
much other work beside it.
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
    elif variant == "estimator":
        config = default.get_config()
        config.data.source = "moving_digits"
        config.data.batch_size = 32
        config.data.eval_batch_size = 500
        config.clips.task = "digit"
        config.clips.num_frames = 5
        config.clips.digit_size = 28
        config.clips.speed = 1.0
        config.clips.noise = 0.0
        config.model.sequence = "frames"
        config.model.cnn_padding = "valid"
        config.model.cnn_per_frame = True
        config.model.hidden_size = 64
        config.duration = "500 steps"
        config.log_every = "50 steps"
    elif variant == "per_frame":
        config.clips.task = "directions"
        config.clips.num_frames = 16
        config.clips.min_frames = 8
        config.clips.height = 20
        config.clips.width = 20
        config.clips.digit_size = 16
        config.clips.speed = 1.0
        config.clips.noise = 0.2
        config.clips.occlusion = 0.5
        config.model.readout = "per_step"
        config.model.cnn_channels = (16, 32)
        config.data.batch_size = 32
        config.data.eval_batch_size = 200
        config.duration = "600 steps"
    else:
        raise ValueError(
            f"variant '{variant}' is not known; choose motion, single_frame, digit, estimator or"
            " per_frame"
        )
    return config
