"""Every field of a config: its type, its default, its bound and its meaning, declared once.

The sections of the examples and of the network are in `data_schema` and `model_schema`. To add a
field, declare it, describe it in the docstring of its class and write `configs/default.py` anew:

    python -m seqvision.config.schema > configs/default.py
"""

import dataclasses

from seqvision.config.bounds import (
    BELOW_ONE,
    COUNT,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    SIZE,
    OneOf,
    Range,
    declare,
    declare_duration,
    section,
)
from seqvision.config.data_schema import LINE_SOURCES, Augment, Clips, Data, Lines, Reading
from seqvision.config.durations import Duration
from seqvision.config.model_schema import Model

# What evaluations are compared by; `auto` is accuracy, cer, map or mae, as the targets are.
BEST_METRICS = (
    "auto",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "auc",
    "map",
    "loss",
    "mae",
    "rmse",
    "r2",
)
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("constant", "cosine", "one_cycle")


@dataclasses.dataclass(frozen=True)
class Loss:
    """`config.loss`.

    Attributes:
      label_smoothing: Fraction of the target spread evenly over all classes, in training only.
      step_weight: per_step: this weight on the mean loss of all steps, the rest on that of the last
        step.
      steps: A class for every frame: which of them are learnt: all, or only the last known one of
        each clip (last).
      class_weights: none, or balanced: each class (of several labels: each answer) counts by the
        inverse of its frequency in training.
    """

    label_smoothing: float = declare(0.0, BELOW_ONE)
    step_weight: float = declare(0.0, FRACTION)
    steps: str = declare("all", OneOf(("all", "last")))
    class_weights: str = declare("none", OneOf(("none", "balanced")))


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """`config.optimizer`.

    Attributes:
      name: adam, adamw, sgd or rmsprop.
      learning_rate: The peak learning rate; config.schedule shapes it over time.
      beta1, beta2: adam, adamw: decay of the first and second moment.
      epsilon: adam, adamw, rmsprop: added to the denominator.
      momentum: sgd, rmsprop: momentum.
      decay: rmsprop: decay of the squared gradient's average.
      weight_decay: adamw, sgd, rmsprop: decoupled weight decay, on kernels only, not on biases.
      backbone_scale: Learning rate of a backbone that learns (config.model.backbone_trainable), as
        a fraction of that of the rest.
      clip_norm: Gradients are scaled down to this global norm (0 = never).
    """

    name: str = declare("adam", OneOf(OPTIMIZERS))
    learning_rate: float = declare(1e-3, POSITIVE)
    beta1: float = declare(0.9, BELOW_ONE)
    beta2: float = declare(0.999, BELOW_ONE)
    epsilon: float = declare(1e-8, POSITIVE)
    momentum: float = declare(0.0, BELOW_ONE)
    decay: float = declare(0.9, BELOW_ONE)
    weight_decay: float = declare(0.0, NON_NEGATIVE)
    backbone_scale: float = declare(0.1, Range(0, 1e3, above=True))
    clip_norm: float = declare(0.0, NON_NEGATIVE)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """`config.schedule`: the learning rate over time.

    Attributes:
      name: constant, cosine (decay to final_fraction) or one_cycle (cosine rise, then cosine
        decay).
      warmup: Rise from start_fraction to the peak; may be given in % of the whole training.
      start_fraction, final_fraction: First and last learning rate, as fractions of the peak.
    """

    name: str = declare("constant", OneOf(SCHEDULES))
    warmup: Duration = declare_duration("0 steps")
    start_fraction: float = declare(0.1, Range(0, 1, above=True))
    final_fraction: float = declare(0.0, FRACTION)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """`config.checkpoint`.

    Attributes:
      every: How often to save ("never" = only at the end and when interrupted).
      keep: How many of the newest checkpoints to keep.
      keep_best: Also keep the one with the best validation metric; evaluate and predict with it.
      best_metric: By which metric evaluations are compared, also for early stopping: accuracy,
        balanced_accuracy, f1, auc, map, loss, mae, rmse or r2, as far as the targets have it. auto
        is accuracy; of a class for every frame and of several labels map, of numbers mae, of texts
        the character error rate.
    """

    every: Duration = declare_duration("1 epochs")
    keep: int = declare(2, SIZE)
    keep_best: bool = declare(False)
    best_metric: str = declare("auto", OneOf(BEST_METRICS))


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """`config.early_stopping`.

    Attributes:
      patience: Stop after this many evaluations in a row without a better validation metric (0 =
        never).
    """

    patience: int = declare(0, COUNT)


@dataclasses.dataclass(frozen=True)
class Settings:
    """A config, typed. `validation.validate` checks it; `step_counts.Steps` are its durations.

    Attributes:
      seed: Weights, order of examples, augmentation: all are functions of this number.
      num_seeds: Train this many at once, with the seeds from config.seed on, each as it would be
        trained alone (early stopping and the best checkpoint go by their mean); reported are their
        mean, their standard deviation and each. Clips and lines that are generated
        (config.data.source) are the same for all: those of config.seed.
      init_from: A finished run's workdir, or weights of another library, to start from ("" = start
        afresh). Arrays of a run whose name and shape match are taken; the run prints which did.
      duration: How long to train.
      log_every: How often to print and record the training loss and accuracy.
      evaluate_every: How often to evaluate the validation split ("never" = only at the end).
      ema_decay: Evaluate, save and predict with an exponential moving average of the weights, with
        this decay per step, at step t at most (1 + t) / (10 + t) (0 = with the weights themselves).
    """

    seed: int = declare(0, COUNT)
    num_seeds: int = declare(1, Range(1, 1000))
    init_from: str = declare("")
    duration: Duration = declare_duration("10 epochs")
    log_every: Duration = declare_duration("100 steps")
    evaluate_every: Duration = declare_duration("1 epochs")
    ema_decay: float = declare(0.0, BELOW_ONE)
    data: Data = section(Data)
    clips: Clips = section(Clips)
    lines: Lines = section(Lines)
    reading: Reading = section(Reading)
    augment: Augment = section(Augment)
    model: Model = section(Model)
    loss: Loss = section(Loss)
    optimizer: Optimizer = section(Optimizer)
    schedule: Schedule = section(Schedule)
    checkpoint: Checkpoint = section(Checkpoint)
    early_stopping: EarlyStopping = section(EarlyStopping)

    @property
    def seeds(self) -> range:
        """The seeds that are trained at once, from the first on."""
        return range(self.seed, self.seed + self.num_seeds)

    @property
    def reads_text(self) -> bool:
        """Whether the network reads lines of writing, rather than classifying."""
        return self.data.source in LINE_SOURCES

    @property
    def asks_for_steps(self) -> bool:
        """Whether the config says that there is a class for every frame; data may say so, too."""
        made = self.data.source == "moving_digits" and self.clips.task == "directions"
        return made or self.data.target == "steps"

    @property
    def makes_shell_games(self) -> bool:
        """Whether the examples are generated and show no digits."""
        return self.data.source == "moving_digits" and self.clips.task == "shell"

    @property
    def makes_clips_of_digits(self) -> bool:
        """Whether the examples are generated clips of digits."""
        return self.data.source == "moving_digits" and self.clips.task != "shell"

    @property
    def letter_delay(self) -> int:
        """For `decoding.letter_ends`: the delay, where training holds the network to it."""
        return self.reading.delay if self.data.source == "digit_lines" else 0


if __name__ == "__main__":
    from seqvision.config.default_file import default_file

    print(default_file(), end="")
