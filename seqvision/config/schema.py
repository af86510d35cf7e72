"""Every field of a config: its type and what it may hold.

Defaults and meanings are in `configs/default.py`.
"""

import dataclasses
import math
from typing import Annotated, Any

from seqvision.config.durations import LARGEST, Duration

# --- what a field may hold ---


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both allowed unless `above`/`below` says otherwise."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def allows(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and abs(value) < math.inf

    def __str__(self) -> str:
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'above' if self.above else 'at least'} {self.low}")
        if self.high < math.inf:
            parts.append(f"{'below' if self.below else 'at most'} {self.high}")
        return " and ".join(parts) or "a finite number"


@dataclasses.dataclass(frozen=True)
class OneOf:
    names: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class AllIn:
    """A tuple, not empty, of whole numbers in `range`."""

    range: Range


Size = Annotated[int, Range(low=1, high=LARGEST)]
Number = Annotated[int, Range(low=0, high=LARGEST)]
LARGEST_SIDE = 65535
# Made clips count places in 32-bit integers.
LARGEST_CLIP_SIDE = 1024
Bytes = Annotated[int, Range(low=0, high=2**50)]
Pixels = Annotated[int, Range(low=0, high=LARGEST_SIDE)]
Sizes = Annotated[tuple, AllIn(Range(low=1, high=LARGEST))]
# Floats become float32 on the device.
Finite = Annotated[float, Range(low=-1e38, high=1e38)]
NonNegative = Annotated[float, Range(low=0, high=1e38)]
Positive = Annotated[float, Range(low=0, high=1e38, above=True)]
Fraction = Annotated[float, Range(low=0, high=1, below=True)]

# The networks' names, here too so that a config is checked without jax; a test compares them.
SEQUENCES = (
    "rows",
    "columns",
    "pixels",
    "permuted_pixels",
    "patches",
    "cnn",
    "cnn_rows",
    "frames",
    "cnn_columns",
)
CELLS = ("lstm", "gru", "layer_norm_lstm", "janet", "min_lstm", "min_gru")
EXECUTIONS = ("auto", "scan", "fused", "cudnn")
LEVELS = ("clean", "natural", "hard")
MIXED_LEVELS = ("clean+natural", "clean+hard", "natural+hard")
# Sources of lines of writing: their networks read text, others name what they see.
LINE_SOURCES = ("digit_lines", "lines")
# Sources whose examples are made, from digits and the seed.
MADE_SOURCES = ("moving_digits", "digit_lines")

# --- the fields ---


@dataclasses.dataclass(frozen=True)
class Data:
    source: Annotated[str, OneOf(("tfds", "npz", "folders", "moving_digits", *LINE_SOURCES))]
    name: str
    dir: str
    cache_dir: str
    path: str
    kind: Annotated[str, OneOf(("auto", "images", "clips"))]
    broken_files: Annotated[str, OneOf(("fail", "skip"))]
    resident_bytes: Bytes
    height: Pixels
    width: Pixels
    channels: Annotated[int, OneOf((0, 1, 3))]
    batch_size: Size
    eval_batch_size: Size
    validation_examples: Number
    validation_fraction: Fraction
    test_fraction: Fraction
    window: Number
    window_stride: Number


@dataclasses.dataclass(frozen=True)
class Clips:
    task: Annotated[str, OneOf(("motion", "digit"))]
    num_frames: Size
    min_frames: Number
    height: Annotated[int, Range(low=1, high=LARGEST_CLIP_SIDE)]
    width: Annotated[int, Range(low=1, high=LARGEST_CLIP_SIDE)]
    channels: Annotated[int, OneOf((1, 3))]
    digit_size: Annotated[int, Range(low=1, high=LARGEST_CLIP_SIDE)]
    speed: Annotated[float, Range(low=0, high=LARGEST_CLIP_SIDE)]
    turn: Annotated[float, Range(low=0, high=180)]
    noise: Annotated[float, Range(low=0, high=10)]
    occlusion: Annotated[float, Range(low=0, high=1)]
    train_clips: Size
    validation_clips: Number
    test_clips: Number


@dataclasses.dataclass(frozen=True)
class Lines:
    level: Annotated[str, OneOf(LEVELS)]
    train_level: Annotated[str, OneOf(("", *LEVELS, *MIXED_LEVELS))]
    min_symbols: Annotated[int, Range(low=1, high=1000)]
    max_symbols: Annotated[int, Range(low=1, high=1000)]
    width: Annotated[int, Range(low=1, high=LARGEST_SIDE)]
    train_width: Annotated[int, Range(low=0, high=LARGEST_SIDE)]
    train_lines: Size
    validation_lines: Number
    test_lines: Number


@dataclasses.dataclass(frozen=True)
class Reading:
    alphabet: str
    # With 1, two equal letters that end side by side could not be told apart.
    delay: Annotated[int, Range(low=2, high=1000)]
    beam_width: Annotated[int, Range(low=0, high=1000)]


@dataclasses.dataclass(frozen=True)
class Augment:
    max_shift: NonNegative
    max_rotation: Annotated[float, Range(low=0, high=180)]


@dataclasses.dataclass(frozen=True)
class Model:
    sequence: Annotated[str, OneOf(SEQUENCES)]
    patch_size: Annotated[int, Range(low=1, high=LARGEST_SIDE)]
    cnn_channels: Sizes
    cell: Annotated[str, OneOf(CELLS)]
    hidden_size: Size
    num_layers: Annotated[int, Range(low=1, high=1000)]
    bidirectional: bool
    readout: Annotated[str, OneOf(("last", "mean", "max", "attention", "per_step"))]
    dropout: Fraction
    recurrent_dropout: Fraction
    readout_dropout: Fraction
    forget_bias: Finite
    gate_init: Annotated[str, OneOf(("constant", "chrono", "uniform"))]
    refine_gates: bool
    recurrent_init: Annotated[str, OneOf(("orthogonal", "identity"))]
    compute_dtype: Annotated[str, OneOf(("float32", "bfloat16"))]
    execution: Annotated[str, OneOf(EXECUTIONS)]


@dataclasses.dataclass(frozen=True)
class Loss:
    label_smoothing: Fraction
    step_weight: Annotated[float, Range(low=0, high=1)]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    name: Annotated[str, OneOf(("adam", "adamw", "sgd", "rmsprop"))]
    learning_rate: Positive
    beta1: Fraction
    beta2: Fraction
    epsilon: Positive
    momentum: Fraction
    decay: Fraction
    weight_decay: NonNegative
    clip_norm: NonNegative


@dataclasses.dataclass(frozen=True)
class Schedule:
    name: Annotated[str, OneOf(("constant", "cosine", "one_cycle"))]
    warmup: Duration
    start_fraction: Annotated[float, Range(low=0, high=1, above=True)]
    final_fraction: Annotated[float, Range(low=0, high=1)]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    every: Duration
    keep: Size
    keep_best: bool


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    patience: Number


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every field of a config, typed and checked. Durations become steps in `Steps`."""

    seed: Number
    num_seeds: Annotated[int, Range(low=1, high=1000)]
    init_from: str
    duration: Duration
    log_every: Duration
    evaluate_every: Duration
    ema_decay: Fraction
    data: Data
    clips: Clips
    lines: Lines
    reading: Reading
    augment: Augment
    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    checkpoint: Checkpoint
    early_stopping: EarlyStopping

    @property
    def seeds(self) -> range:
        """The seeds that are trained at once, from the first on."""
        return range(self.seed, self.seed + self.num_seeds)

    @property
    def reads_text(self) -> bool:
        """Whether the network reads lines of writing, rather than naming what it sees."""
        return self.data.source in LINE_SOURCES

    @property
    def letter_delay(self) -> int:
        """For `decoding.letter_ends`: the delay, where training holds the network to it."""
        return self.reading.delay if self.data.source == "digit_lines" else 0
